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
    char *path, *data;
    size_t len;
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
    struct mem_bundle *bundles;
    size_t nbundles;
    bool halted, dead;
    char *halt_why;
    int64_t last_id;
};

struct mem_run *memory_run(struct memory *m, int64_t id);   /* or NULL */
extern const struct journal_ops memory_reads;               /* the read half of the operations */

#endif
