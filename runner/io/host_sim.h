/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated host: a virtual clock that jumps to the next timer when nothing
 * else can happen, answers from handlers, no real I/O, and a counter over every
 * call so that a test can fail or kill at the Nth. `midwatch test` runs scenarios
 * on it. */
#ifndef MIDWATCH_IO_HOST_SIM_H
#define MIDWATCH_IO_HOST_SIM_H

#include "io/host.h"

/* Handlers answer at once (the answer is delivered on a later turn, after delay_ms of virtual
 * time; a delay above the request's timeout is a timeout). They fill `body`, bounded by the request;
 * the return value is the HTTP status, 0 = cut (maybe sent), -1 = not sent. The only header of an
 * answer is content-type, guessed from the body's first byte. */
struct host_sim_options {
    int64_t wall_ms;            /* where the clock starts */
    uint64_t seed;
    int (*http)(void *ctx, const struct http_request *r, struct buf *body, int64_t *delay_ms);
    /* Returns the exit code; fills out and errout; -1 = could not be started. */
    int (*spawn)(void *ctx, const struct spawn_request *r, struct buf *out, struct buf *errout, int64_t *delay_ms);
    /* Called before every host call that can fail, with its name ("random", "timer", "http", "spawn",
     * "read_file", "write_file", "remove_file"): may kill the process, or return a negative code that
     * the call fails with. NULL = never. */
    int (*point)(void *ctx, const char *call);
    /* Called when the virtual clock jumps. NULL = nobody cares. */
    void (*tick)(void *ctx, int64_t wall_ms);
    bool real_files;            /* file functions work on the real file system (else an empty in-memory one) */
    void *ctx;
};

int host_sim_new(const struct host_sim_options *o, struct host **out, struct err *e);
/* Somebody sets the wall clock: it shows `ms` more (or less) from now on. Timers do not notice. */
void host_sim_step_clock(struct host *h, int64_t ms);

#endif
