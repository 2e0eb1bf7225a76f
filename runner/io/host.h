/* SPDX-License-Identifier: Apache-2.0 */
/* The host table: everything the program asks of the machine outside it (clock,
 * random, timers, processes, HTTP with its DNS, files) goes through one table of
 * functions, so that a whole run can be simulated, made to fail at any call and
 * killed at any call. `host_real` (libuv, curl, posix_spawn) is the program's,
 * `host_sim` (virtual clock, scripted answers) the tests'.
 *
 * Threads: everything is called on the loop thread, except host_wake. Callbacks
 * run on the loop thread, exactly once, never before the starting function has
 * returned, never if it failed, and never after a cancel. They must not call
 * Lua: they store what came and return; `turn` does the rest. */
#ifndef MIDWATCH_IO_HOST_H
#define MIDWATCH_IO_HOST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct host;
struct host_op;     /* a call in flight; dead after its callback or its cancel */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE };

struct http_header {
    const char *name;
    const char *value;
};

struct http_request {
    enum http_method method;
    const char *url;                    /* http:// or https:// only */
    const struct http_header *headers;  /* nheaders entries; copied */
    size_t nheaders;
    const char *const *origins;         /* NULL-ended "https://host:443": the only servers that may get this; or NULL */
    const char *const *hosts;           /* NULL-ended globs over host or host:port that may be talked to at all; or NULL */
    struct str body;                    /* copied */
    int64_t timeout_ms;                 /* whole request, 0 = 30 s */
    size_t max_body;                    /* bytes of an answer, 0 = HTTP_BODY_MAX; above = error */
    int max_redirects;                  /* 0 = none; same host and scheme only, GET and HEAD only */
    bool allow_private;                 /* false refuses loopback, link-local, private and metadata addresses */
    const char *ca_pem;                 /* PEM text to verify the server with, NULL = system's */
    const char *client_cert_pem;        /* with client_key_pem, or NULL */
    const char *client_key_pem;
    const char *tls_server_name;        /* what the certificate must say instead of the URL's host, or NULL */
    bool insecure_tls;                  /* only where the operator's configuration says so */
    const char *aws_sigv4;              /* "aws:amz:region:service": signed with user_password, or NULL. The query must be
                                         * sorted by name, and encoded */
    const char *user_password;          /* "key id:secret key" */
};

/* What is known of a request that failed: it decides between "absent" and "unknown". */
enum http_sent {
    HTTP_NOT_SENT,      /* refused before a byte of it left: DNS, connect, TLS, address limits; so are requests that
                         * `http` itself returned an error for */
    HTTP_MAYBE_SENT,    /* timeout, reset, cut answer: the other side may have acted */
};

struct http_answer {
    int status;                         /* 0 if err is set */
    struct str body;                    /* borrowed until the callback returns */
    const struct http_header *headers;  /* names in lower case; borrowed */
    size_t nheaders;
    enum http_sent sent;                /* if err is set */
    const struct err *err;              /* NULL if an answer came whole */
};

struct spawn_request {
    const char *const *argv;            /* argv[0] with a slash, or searched in PATH; NULL-ended; never a shell */
    const char *const *env;             /* NULL-ended "K=V"; NULL = a minimal environment (PATH, HOME, LANG=C) */
    const char *const *more_env;        /* NULL-ended "K=V" that are added to it, or stand for what is there; or NULL */
    const char *cwd;                    /* or NULL */
    struct str input;                   /* stdin; empty = /dev/null; copied */
    int64_t timeout_ms;                 /* then TERM to the group, after grace_ms KILL; 0 = 60 s */
    int64_t grace_ms;                   /* 0 = 2 s */
    size_t max_output;                  /* per stream, 0 = PROC_OUTPUT_MAX; beyond it is cut and `truncated` set */
};

struct spawn_answer {
    int exit_code;                      /* -1 if it did not exit by itself */
    int signal;                         /* that ended it, or 0 */
    bool timed_out;
    bool truncated;
    struct str out, errout;             /* borrowed until the callback returns */
    const struct err *err;              /* set if it could not be started: then nothing ran. What is known at once
                                         * (no such program) is the error of `spawn` itself, without a callback. */
};

/* Bytes of a child's stdout or stderr, borrowed; none = it closed the stream. */
typedef void (*child_bytes_fn)(void *ctx, struct str bytes);

/* A child that stays: argv[0] is a path, its environment the minimal one. */
struct child_request {
    const char *const *argv;
    const char *cwd;                    /* or NULL */
    child_bytes_fn out, errout;
    void (*ended)(void *ctx, int exit_code, int signal);    /* after its last bytes; the op is dead then */
    void *ctx;
};

typedef void (*host_timer_fn)(void *ctx);
typedef void (*host_http_fn)(void *ctx, const struct http_answer *a);
typedef void (*host_spawn_fn)(void *ctx, const struct spawn_answer *a);
/* One turn of work at the top of the loop. Returns true if there is more to do at once. */
typedef bool (*host_turn_fn)(void *ctx);
typedef void (*host_signal_fn)(void *ctx, int signo);

struct host_ops {
    int64_t (*wall_ms)(struct host *h);                 /* Unix milliseconds: for rows and calendars */
    int64_t (*mono_ms)(struct host *h);                 /* never steps: for waits and deadlines */
    int (*random)(struct host *h, void *out, size_t n, struct err *e);
    /* Never early by mono_ms. */
    int (*timer)(struct host *h, int64_t delay_ms, host_timer_fn done, void *ctx, struct host_op **out,
                 struct err *e);
    int (*http)(struct host *h, const struct http_request *r, host_http_fn done, void *ctx, struct host_op **out,
                struct err *e);
    /* The child leads a group, which ends with it: nothing of the group outlives the answer. */
    int (*spawn)(struct host *h, const struct spawn_request *r, host_spawn_fn done, void *ctx, struct host_op **out,
                 struct err *e);
    /* Starts a child that stays until it ends or is cancelled (then its group is killed). `out` and `errout` are
     * called as bytes come. ERR_IO: nothing runs. */
    int (*child)(struct host *h, const struct child_request *r, struct host_op **out, struct err *e);
    /* Bytes for its stdin, copied; what it does not take at once waits. ERR_IO it closed its input, ERR_LIMIT it does
     * not read: then not all of `bytes` will arrive. */
    int (*say)(struct host *h, struct host_op *child, struct str bytes, struct err *e);
    /* Calls `ready` whenever fd can be read or is at its end, until it is cancelled: the terminal, a socket of ours.
     * ERR_IO where that cannot be told (a file), and always on a simulated host. */
    int (*watch)(struct host *h, int fd, host_timer_fn ready, void *ctx, struct host_op **out, struct err *e);
    /* Ends a call without its callback. A child's group is killed; a request is closed. */
    void (*cancel)(struct host *h, struct host_op *op);
    /* Files: small, synchronous, bounded by `max`. ERR_NOT_FOUND is expected of read. */
    int (*read_file)(struct host *h, const char *path, size_t max, struct buf *out, struct err *e);
    /* Written beside, flushed, renamed, directory flushed; mode 0600. */
    int (*write_file)(struct host *h, const char *path, struct str data, struct err *e);
    /* One stat: the halt file. Also true where it cannot be told (no permission, I/O error). */
    bool (*exists)(struct host *h, const char *path);
    int (*remove_file)(struct host *h, const char *path, struct err *e);
    /* Watches SIGINT, SIGTERM, SIGHUP; one watcher. */
    void (*signals)(struct host *h, host_signal_fn fn, void *ctx);
    /* Runs until host_stop: turn, then I/O and timers, again. A simulated host also returns when nothing can happen. */
    int (*run)(struct host *h, host_turn_fn turn, void *ctx, struct err *e);
    void (*stop)(struct host *h);
    void (*wake)(struct host *h);                       /* from any thread: run a turn soon */
    void (*free)(struct host *h);                       /* cancels what is in flight; not within run */
};

/* An implementation embeds this as its first member. */
struct host {
    const struct host_ops *ops;
};

/* The machine itself. *out is owned: (*out)->ops->free. The HTTP part (a module with
 * curl, found beside the program or in its library directory) is loaded at the first request. */
int host_real_new(struct host **out, struct err *e);

#endif
