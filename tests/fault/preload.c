/* SPDX-License-Identifier: Apache-2.0 */
/* A library for LD_PRELOAD that fails one call of the program, or every one from some on:
 * FAULT=KIND:N[:M] fails the calls N to M (default N, 0 = all from N on) of KIND, one of malloc, write,
 * fsync, spawn, connect, thread. With FAULT_BYTES only allocations of so many count. FAULT_HIT names a file that is
 * made when it happened. Children are left alone. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);

static struct {
    bool ready;
    char kind[16];
    long from, till, seen;
    size_t bytes;           /* 0 = of any size */
    const char *hit;
} plan;

static void read_plan(void)
{
    const char *text = getenv("FAULT"), *colon = text ? strchr(text, ':') : NULL;
    char *end;

    plan.ready = true;
    if (!colon || (size_t)(colon - text) >= sizeof(plan.kind))
        return;
    memcpy(plan.kind, text, (size_t)(colon - text));
    plan.from = plan.till = strtol(colon + 1, &end, 10);
    if (*end == ':')
        plan.till = strtol(end + 1, NULL, 10);
    plan.hit = getenv("FAULT_HIT");
    text = getenv("FAULT_BYTES");
    plan.bytes = text ? strtoul(text, NULL, 10) : 0;
}

static bool fails(const char *kind)
{
    long n, fd;

    if (!plan.ready)
        read_plan();
    if (strcmp(plan.kind, kind) != 0)
        return false;
    n = __atomic_add_fetch(&plan.seen, 1, __ATOMIC_RELAXED);
    if (n < plan.from || (plan.till && n > plan.till))
        return false;
    fd = plan.hit ? syscall(SYS_openat, AT_FDCWD, plan.hit, O_CREAT | O_WRONLY, 0600) : -1;
    if (fd >= 0)
        syscall(SYS_close, (int)fd);
    return true;
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

static _Thread_local bool spared;

static bool lacks(size_t n)
{
    if (!plan.ready)
        read_plan();
    return !spared && (!plan.bytes || plan.bytes == n) && fails("malloc");
}

void *malloc(size_t n) { return lacks(n) ? no_memory() : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return lacks(n * size) ? no_memory() : __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { return lacks(n) ? no_memory() : __libc_realloc(p, n); }

/* Without memory the C library's own look at nsswitch.conf ends the process: by an assertion, or through a null pointer. */
struct passwd *getpwuid(uid_t uid)
{
    static struct passwd *(*real)(uid_t uid);
    struct passwd *found;

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getpwuid");
    spared = true;
    found = real(uid);
    spared = false;
    return found;
}

static int refused(int why)
{
    errno = why;
    return -1;
}

/* Of writes only those to files: a full disk, not a closed terminal or a wake-up. */
static bool disk_full(int fd)
{
    struct stat st;

    return fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fails("write");
}

ssize_t write(int fd, const void *data, size_t n)
{
    return disk_full(fd) ? refused(ENOSPC) : syscall(SYS_write, fd, data, n);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    return disk_full(fd) ? refused(ENOSPC) : syscall(SYS_pwrite64, fd, data, n, at);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    return pwrite64(fd, data, n, at);
}

int fsync(int fd) { return fails("fsync") ? refused(EIO) : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return fails("fsync") ? refused(EIO) : (int)syscall(SYS_fdatasync, fd); }

int connect(int fd, const struct sockaddr *to, socklen_t n)
{
    return to->sa_family == AF_INET && fails("connect") ? refused(ECONNREFUSED) : (int)syscall(SYS_connect, fd, to, n);
}

/* vfork returns twice on one stack, so a function around it cannot be C: it asks, and jumps to the real one. */
void *real_vfork;

int pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *ctx)
{
    static int (*real)(pthread_t *t, const pthread_attr_t *attr, void *(*fn)(void *), void *ctx);

    if (fails("thread"))
        return EAGAIN;
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(t, attr, fn, ctx);
}

int refuses_vfork(void);
int refuses_vfork(void)
{
    if (!real_vfork)
        real_vfork = dlsym(RTLD_NEXT, "vfork");
    return fails("spawn") ? (errno = EAGAIN) : 0;
}

#ifdef __x86_64__
__asm__(".globl vfork\n"
        ".type vfork, @function\n"
        "vfork:\n"
        "    sub $8, %rsp\n"
        "    call refuses_vfork@PLT\n"
        "    add $8, %rsp\n"
        "    test %eax, %eax\n"
        "    jnz 1f\n"
        "    mov real_vfork@GOTPCREL(%rip), %rax\n"
        "    jmp *(%rax)\n"
        "1:  mov $-1, %eax\n"
        "    ret\n");
#endif
