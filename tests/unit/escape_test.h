/* SPDX-License-Identifier: Apache-2.0 */
/* The escape corpus: every file of a folder is run in fresh states, under four allocator modes and two hook counts. The
 * first line says what must happen: KILLED (out of time or memory), REFUSED (an error), ENDED (the run has ended) or OK.
 * When memory is made scarce a script may also die of that, but never get further. ESCAPE_ONLY=part of a name. */
#ifndef MIDWATCH_TESTS_ESCAPE_TEST_H
#define MIDWATCH_TESTS_ESCAPE_TEST_H

#include "lua_test.h"

#include <dirent.h>
#include <time.h>

#define KILL_BUDGET_MS 40
#ifndef KILLED_WITHIN_MS
#define KILLED_WITHIN_MS 15000      /* of CPU: no measure, but what is not killed at all is seen */
#endif

struct escape_mode {
    const char *name;
    size_t memory_limit;
    int alloc_fault, hook_count;
};

struct escape_file {
    const char *name;
    struct str text;
    bool is_killer;
};

static const struct escape_mode escape_modes[] = {
    {"normal, hook 1", 0, 0, 1},              {"normal, hook 1000", 0, 0, 1000},
    {"limit, hook 1", MIB, 0, 1},             {"limit, hook 1000", MIB, 0, 1000},
    {"refuse once, hook 1", 2 * MIB, 1, 1},   {"refuse once, hook 1000", 2 * MIB, 1, 1000},
    {"fail the 50th, hook 1", 0, 50, 1},      {"fail the 50th, hook 1000", 0, 50, 1000},
};
enum { ESCAPE_MODES = sizeof escape_modes / sizeof escape_modes[0] };
#define ESCAPE_NORMAL (&escape_modes[1])

typedef struct outcome (*escape_fn)(const struct escape_file *f, const struct escape_mode *m);

static inline const char *escape_word(enum vm_outcome o)
{
    static const char *const words[] = {[VM_PARKED] = "ENDED", [VM_FORKED] = "STUCK", [VM_DONE] = "OK", [VM_ERROR] = "REFUSED",
                                        [VM_NOMEM] = "KILLED", [VM_KILLED] = "KILLED"};
    return words[o];
}

static inline int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A file may be too slow for a collection at every growth, and says so. */
static inline bool escape_skips(const struct escape_file *f, const struct escape_mode *m)
{
    return m->alloc_fault == 1 && strstr(f->text.p, "(not: refuse once)");
}

/* 1 if it went wrong. */
static inline int escape_run(const struct escape_file *f, const char *expect, const struct escape_mode *m, escape_fn fn)
{
    int64_t begun = cpu_ms();
    struct outcome out = fn(f, m);
    int64_t took = cpu_ms() - begun;
    if (getenv("ESCAPE_TIMES"))
        print_message("%6lld ms %s (%s)\n", (long long)took, f->name, m->name);
    bool may_be_scarce = m->memory_limit || m->alloc_fault;
    bool is_right = strcmp(escape_word(out.outcome), expect) == 0 || (may_be_scarce && out.outcome == VM_NOMEM);
    if (is_right && (!f->is_killer || m->alloc_fault || took < KILLED_WITHIN_MS))
        return 0;
    print_error("%s (%s): expected %s, was %s after %lld ms: %s\n", f->name, m->name, expect, escape_word(out.outcome),
                (long long)took, out.text);
    return 1;
}

static inline bool escape_wants(const char *name)
{
    const char *only = getenv("ESCAPE_ONLY");
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".lua") == 0 && (!only || strstr(name, only));
}

/* Runs the files of tests/escape/FOLDER, those without a gate call only if `no_gate`; at least `least` there must be. */
static inline void escape_folder(const char *folder, bool no_gate, const struct escape_mode *modes, size_t n, int least,
                                 escape_fn fn)
{
    struct dirent **entries;
    char path[1024], expect[16];
    int bad = 0, ran = 0;
    snprintf(path, sizeof path, "%s/tests/escape%s", MIDWATCH_SOURCE_DIR, folder);
    int nentries = scandir(path, &entries, NULL, alphasort);
    assert_true(nentries > 0);
    for (int i = 0; i < nentries; i++) {
        struct escape_file f = {.name = entries[i]->d_name};
        if (escape_wants(f.name)) {
            snprintf(path, sizeof path, "tests/escape%s/%s", folder, f.name);
            char *text = file_text(path, &f.text.n);
            f.text.p = text;
            if (sscanf(text, "-- expect: %15s", expect) != 1)
                fail_msg("%s: the first line must be '-- expect: KILLED|REFUSED|ENDED|OK'", path);
            f.is_killer = strcmp(expect, "KILLED") == 0;
            for (size_t m = 0; m < n && !(no_gate && strstr(text, "look")); m++)
                bad += escape_skips(&f, &modes[m]) ? 0 : escape_run(&f, expect, &modes[m], fn);
            ran++;
            free(text);
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(getenv("ESCAPE_ONLY") || ran >= least);
    assert_int_equal(bad, 0);
}

/* Compares with a golden list; MIDWATCH_GOLDEN=1 writes it. */
static inline void escape_golden(const char *name, const struct buf *list)
{
    char path[1024];
    size_t n;
    snprintf(path, sizeof path, "%s/tests/escape/%s", MIDWATCH_SOURCE_DIR, name);
    if (getenv("MIDWATCH_GOLDEN")) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fwrite(buf_text(list), 1, list->len, f);
        fclose(f);
    }
    snprintf(path, sizeof path, "tests/escape/%s", name);
    char *golden = file_text(path, &n);
    if (strcmp(buf_text(list), golden) != 0)
        fail_msg("reachable names differ from %s; MIDWATCH_GOLDEN=1 writes it anew", path);
    free(golden);
}

#endif
