/* SPDX-License-Identifier: Apache-2.0 */
/* One plugin on a bench: the real host, one instance of it, its file of examples,
 * and calls that are waited for. */
#ifndef MIDWATCH_CHECK_PLUGIN_BENCH_H
#define MIDWATCH_CHECK_PLUGIN_BENCH_H

#include "plugin/plugin.h"

#define BENCH_INSTANCE "it"
#define BENCH_CALL_MS 10000     /* for one call to answer */

/* Where a plugin is: the operator's directory, its name, the file of its examples. */
struct plugin_place {
    char dir[4096], name[128], examples[4600];
};
/* Of NAME.lua, NAME, NAME.json or the folder NAME. */
int plugin_place_of(const char *path, struct plugin_place *out, struct err *e);

struct bench {
    struct host *host;
    struct config *config;
    struct registry *registry;
    json_t *declared;           /* a copy: registries come and go */
    json_t *examples;           /* NAME.plugin-test.yaml */
    char tmp[64];               /* {{tmp}}: a directory of its own, "" = none yet */
    struct host_op *timer;
    bool answered;
    json_t *answer;
};

/* On an error, too, bench_close. */
int bench_open(struct bench *t, const char *path, struct err *e);
/* Loads the plugin; an error is about its declaration or the settings. */
int bench_load(struct bench *t, struct err *e);
void bench_close(struct bench *t);
/* One call to its end; the answer is owned and never NULL. */
json_t *bench_ask(struct bench *t, enum body_kind kind, const char *verb, const json_t *args, const json_t *extra);
/* Begins an apply and ends the plugin `after_ms` later; then waits `calm_ms` and starts another one. */
void bench_cut(struct bench *t, const char *verb, const json_t *args, const json_t *extra, int64_t after_ms, int64_t calm_ms);

#endif
