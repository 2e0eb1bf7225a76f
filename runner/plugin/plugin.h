/* SPDX-License-Identifier: Apache-2.0 */
/* Plugins: for each configured instance one Lua state that holds the plugin's
 * text. Its declarations make the face that a runbook sees; its functions are
 * the body that does the work through the primitives http, exec, file, ... Only
 * canonical JSON crosses. Where no body may act (test, map, replay) the registry is
 * sealed: describing and `want` work, every primitive is refused.
 *
 * Loop thread only. Callbacks as in io/host.h: once, never before the starting
 * function has returned, never after a cancel. */
#ifndef MIDWATCH_PLUGIN_PLUGIN_H
#define MIDWATCH_PLUGIN_PLUGIN_H

#include "base/buf.h"
#include "base/err.h"
#include "book/bundle.h"
#include "config/config.h"
#include "io/host.h"
#include "vm/vm.h"

#include <jansson.h>
#include <stdbool.h>

struct registry;
struct body_call;       /* a call of a body in flight */

struct registry_options {
    struct host *host;
    struct config *config;          /* borrowed; may be NULL when sealed */
    bool sealed;                    /* no primitives, ever */
    bool reads_only;                /* apply is refused, and with it all that only an effect may do (plan) */
    /* A body's Lua is stepped from here on, for this run. NULL = nobody wants to know. */
    void (*at_work)(void *ctx, int64_t run, const char *instance);
    void *ctx;
    const char *plugin_dir;         /* the operator's plugins, or NULL: only the shipped ones */
};
int registry_new(const struct registry_options *o, struct registry **out, struct err *e);
void registry_free(struct registry *r);
/* Another one with the same options, and nothing loaded. */
int registry_like(const struct registry *r, struct registry **out, struct err *e);

/* Makes sure instance `instance` of the config is loaded, and returns its declarations
 * ({name, things, reads, effects}), borrowed. Errors: ERR_NOT_FOUND no such instance or plugin (names the
 * nearest), ERR_INVALID the plugin's text is broken. `plugin` is used when sealed or the config has no such
 * instance: the plugin to describe under that instance name; NULL otherwise. */
int registry_describe(struct registry *r, const char *instance, const char *plugin, const json_t **declared,
                      struct err *e);
/* The effects, reads and things that it declares, as the argument of a run's language wants them. Borrowed for the life of the
 * registry. */
enum { FACE_SECTIONS = 3 };
int registry_face(struct registry *r, const char *instance, const char *plugin, const struct vm_record **out, struct err *e);
/* One file of a plugin: "plugins/shell.lua", or of a folder "plugins/kubernetes/init.lua", which declares it, and
 * the modules beside it. */
struct plugin_source {
    char *path;
    struct str text;                /* borrowed: of the program, of a bundle, or `owned` */
    char *owned;
};
/* The plugin's name and texts behind an instance (for the bundle); borrowed. */
int registry_sources(struct registry *r, const char *instance, const char **plugin, const struct plugin_source **sources,
                     size_t *n, struct err *e);
/* SHA-256 of the instance's non-secret settings, hex: recorded at start, compared at resume. What is only said of a declared
 * verb is not in it. */
int registry_settings_hash(struct registry *r, const char *instance, char out[65], struct err *e);
/* A setting of the instance that is a duration, in seconds; 0 = not set. `window` is the default of reads over a
 * window, `interval` the time between two samples of the source. */
double registry_seconds(struct registry *r, const char *instance, const char *setting);
struct host *registry_host(const struct registry *r);       /* borrowed */
const struct config *registry_config(const struct registry *r); /* borrowed, or NULL */

/* The effect's absolute end state, pure and at once. `state` may be empty (unknown). history: JSON list or empty. */
int plugin_want(struct registry *r, const char *instance, const char *verb, struct str args, struct str state,
                struct str history, struct buf *out, struct err *e);

/* From now on plugins' texts are those of the bundle, as far as it has them; borrowed. For a run that was taken up again. */
void registry_pin(struct registry *r, const struct bundle *b);

/* PROBE: is the system there, and what is it. PERMITTED: does it let us make this effect (verb) on args.target. PREFLIGHT: would
 * it take this effect (its declaration has_preflight): its own dry run, which stores nothing. */
enum body_kind { BODY_READ, BODY_STATE, BODY_CHECK, BODY_APPLY, BODY_PROBE, BODY_PERMITTED, BODY_PREFLIGHT };

struct body_request {
    enum body_kind kind;
    const char *instance;
    const char *verb;               /* "replicas", "scale"; "" of a probe */
    struct str args;                /* canonical JSON object of arguments */
    struct str extra;               /* APPLY, CHECK, PREFLIGHT: {"from":..,"key":..,"to":..}; else empty */
    int64_t run;                    /* who wants it; 0 = no run */
    int64_t timeout_ms;             /* whole call; 0 = 30 s. After it the call is ended and answered */
};

/* answer: canonical JSON. READ, STATE: {"value":..} or {"unknown":kind,"why":..}; CHECK: {"verdict":
 * "applied"|"absent"|"moved"} or unknown; APPLY: {"outcome":"sent"|"refused"|"moved"|"unknown","why":..,"result":..}.
 * PROBE: {"value": text}; PERMITTED: {"value": true|false, "why":..}; PREFLIGHT: {"value":true}, {"refused":"error","why":..}
 * or unknown.
 * A body that broke or timed out answers error, or for APPLY "unknown" if a changing request may have left,
 * else "refused". */
typedef void (*body_fn)(void *ctx, struct str answer);
int body_start(struct registry *r, const struct body_request *q, body_fn done, void *ctx, struct body_call **out,
               struct err *e);
void body_cancel(struct registry *r, struct body_call *c);

/* Steps bodies that are ready; delivers answers. To be called from the loop's turn. Returns true if there is more
 * to do at once. */
bool registry_turn(struct registry *r);

#endif
