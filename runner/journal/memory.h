/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the memory journal: its lists. Writing is memory.c, asking memory_read.c. */
#ifndef MIDWATCH_JOURNAL_MEMORY_H
#define MIDWATCH_JOURNAL_MEMORY_H

#include "journal/journal.h"

struct mem_run {
    struct run_info info;
    char *dedup;
    struct row *rows;
    size_t nrows;
};
struct mem_file {
    char *path, *owned;
    struct str data;        /* owned, or part of the program */
};
struct mem_bundle {
    char *id, *meta;
    size_t meta_len;
    struct mem_file *files;
    size_t nfiles;
};
struct memory {
    struct journal base;
    struct journal_options o;
    struct mem_run *runs, system;   /* runs: by id */
    size_t nruns;
    struct lock_info *locks;
    size_t nlocks;
    struct effect_info *effects;
    size_t neffects;
    struct escalation_info *escalations;
    size_t nescalations;
    struct revoked_info *revoked;
    size_t nrevoked;
    struct breaker_info *breakers;
    size_t nbreakers;
    struct approval_info *approvals;
    size_t napprovals;
    struct mem_bundle *bundles;
    size_t nbundles;
    bool halted, dead;
    char *halt_why;
    int64_t last_id;
};

/* A list has room up to the next power of two. */
#define APPEND(list, n, value)                                                                                         \
    do {                                                                                                               \
        if (((n) & ((n) - 1)) == 0)                                                                                    \
            (list) = xrealloc((list), ((n) ? 2 * (n) : 1) * sizeof(*(list)));                                          \
        (list)[(n)++] = (value);                                                                                       \
    } while (0)

struct mem_run *memory_run(struct memory *m, int64_t id);   /* or NULL */
struct lock_info *memory_lock(struct memory *m, struct str target);     /* or NULL */
/* As much of s as fits. */
void memory_text(char *out, size_t size, struct str s);
/* What policy remembers (memory_policy.c). */
bool memory_guard(struct memory *m, const struct journal_item *item, const struct guard *g);
void memory_policy(struct memory *m, const struct journal_item *item, const struct change *c);
extern const struct journal_ops memory_reads;               /* the read half of the operations */

#endif
