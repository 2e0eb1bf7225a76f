/* SPDX-License-Identifier: Apache-2.0 */
/* A runbook as the rest of the program sees it: the parsed front matter, the
 * one Lua chunk made of its `lua` blocks (every other line blanked, so Lua's
 * line numbers are the file's), and the headings that name its sections. Code
 * is exactly what a Markdown reader sees as a top-level fenced block tagged
 * `lua`. Reading it is pure: nothing is run, nothing outside the text consulted. */
#ifndef MIDWATCH_BOOK_BOOK_H
#define MIDWATCH_BOOK_BOOK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/bound.h"
#include "base/yaml.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum param_type { PARAM_STRING, PARAM_INTEGER, PARAM_NUMBER, PARAM_BOOLEAN, PARAM_DURATION, PARAM_SIZE, PARAM_TIME };

/* Also used for parameters of declared commands (config). */
struct param {
    char *name;
    enum param_type type;
    bool is_list;               /* type: [string] */
    bool optional;
    char *from;                 /* "labels.service", "annotations.x", or NULL */
    json_t *absent;             /* default, checked like a value; NULL = none */
    bool has_min, has_max;
    double min, max;            /* of the number; length for strings is not bounded by these */
    char *match;                /* Lua-free anchored pattern: POSIX extended regex over the whole value, or NULL */
    char **one_of;
    size_t none_of;             /* entries in one_of */
    int line, column;
};

struct use {
    char *alias;                /* the global in the runbook */
    char *instance;             /* may hold {{param}} */
    int line, column;
};

struct may {
    char *effect;               /* "kubernetes.rollback": alias.effect */
    char *target;               /* "deployment/{{namespace}}/{{service}}"; globs need at_most */
    int64_t at_most;            /* 0 = not given */
    struct bound *bounds;
    size_t nbounds;
    int line, column;
};

struct section {
    int line;
    int level;
    char *title;
};

struct trigger_offer {          /* recorded, matched by the server */
    enum { OFFER_ALERT, OFFER_CHAT, OFFER_SCHEDULE } kind;
    json_t *what;               /* matchers as written, or the phrase */
};

/* A Lua file of the runbook's repository. */
struct book_module {
    char *name;                 /* as required: "k8s.checks" */
    char *path;                 /* from the root: "lib/k8s/checks.lua" */
    char *text;
    size_t len;
};

/* Where the texts come from, for people and for `revoke`. */
struct origin {
    char *repo;                 /* root of the working tree, or the repository's address; NULL = in no repository */
    char *commit, *tree;        /* NULL = not known */
    bool dirty;                 /* a text is not what the commit has */
};

struct runbook {
    unsigned holders;           /* beside the one that read it */
    char *file;                 /* as the user wrote it: messages before a run */
    char *path;                 /* from the root of its source */
    char *name, *summary, *owner, *severity;
    struct trigger_offer *triggers;
    size_t ntriggers;
    struct param *params;
    size_t nparams;
    struct use *uses;
    size_t nuses;
    struct may *may;
    size_t nmay;
    int64_t time_ms;            /* limits.time; default 1 h */
    int64_t remedies, targets;  /* limits; defaults 3 and 3 */
    int64_t cooldown_ms;        /* default 30 min */
    char *escalate_to;          /* or NULL */
    int64_t escalate_after_ms;  /* 0 = never */
    struct section *sections;
    size_t nsections;
    char *text;                 /* the whole file */
    size_t text_len;
    char *chunk;                /* as many lines as text; code lines as they are, others empty */
    size_t chunk_len;
    struct book_module *modules;    /* those it requires, each before those that need it */
    size_t nmodules;
    struct origin origin;
};

/* Parses the text of one runbook. Errors are ERR_INVALID with file:line:column. *out is owned. */
int book_read(struct str text, const char *file, struct runbook **out, struct err *e);
/* The same once more: each holder frees it. Nobody changes a runbook that others hold. */
struct runbook *book_hold(struct runbook *b);
void book_free(struct runbook *b);
/* Calls each with every error of the front matter, not only the first; borrowed. Returns how many there are. */
int book_complaints(struct str text, const char *file, void (*each)(void *ctx, const struct err *e), void *ctx);
/* Copies. */
void book_add_module(struct runbook *b, const char *name, const char *path, struct str text);
/* The title of the section that line is in, or "". Borrowed. */
const char *book_section(const struct runbook *b, int line);

/* Values for the declared parameters, from "key=value" texts (command line) and, for parameters with
 * `from`, from the trigger's labels and annotations ({"labels":{},"annotations":{}} or NULL).
 * *out: a canonical object; durations and times are seconds, sizes bytes. A given value that fails its
 * check is an error, never the default; an unknown key names the nearest. */
int params_resolve(const struct param *params, size_t n, const char *const *pairs, size_t npairs, const json_t *trigger,
                   json_t **out, struct err *e);
/* Checks one JSON value against its declaration. `where` goes into the message ("parameter 'service'"). */
int param_check(const struct param *p, const json_t *v, const char *where, struct err *e);
/* Parses a map of parameter declarations (`params:` of a runbook or a command). Owned: params_free. */
int params_read(const struct yaml *map, const char *file, struct param **out, size_t *n, struct err *e);
void params_free(struct param *p, size_t n);

/* "{{name}}" filled from an object of values; an undefined name is an error. Text of a value is its plain
 * form. one_segment: a value that holds '/', '*' or is empty is refused (targets). */
int template_fill(struct str text, const json_t *values, bool one_segment, struct buf *out, struct err *e);
/* Calls fn with each name in the template. ERR_INVALID for an unclosed one. */
int template_names(struct str text, void (*fn)(void *ctx, struct str name), void *ctx, struct err *e);

#endif
