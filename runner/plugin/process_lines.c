/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of the protocol: what is asked, and whether an answer is one. */
#include "plugin/process.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/slice.h"
#include "plugin/declaration.h"
#include "plugin/schema.h"
#include "plugin/secret.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const kind_names[] = {
    [BODY_READ] = "read", [BODY_STATE] = "state", [BODY_CHECK] = "check", [BODY_APPLY] = "apply",
    [BODY_PROBE] = "probe", [BODY_PERMITTED] = "permitted", [BODY_PREFLIGHT] = "preflight",
};

static void put_slice(struct json_object *o, struct str extra, const char *key)
{
    if (extra.n)
        json_put_raw(o, key, json_slice(extra, key));
}

int process_request(const struct body_call *c, const struct body_request *q, int64_t id, struct buf *out, struct err *e)
{
    struct json_object o;

    json_open(&o, out);
    json_put_raw(&o, "args", q->args.n ? q->args : STR("{}"));
    json_put_string(&o, "call", str_of(kind_names[c->kind]));
    put_slice(&o, q->extra, "from");
    json_put_int(&o, "id", id);
    put_slice(&o, q->extra, "key");
    put_slice(&o, q->extra, "to");
    json_put_string(&o, "verb", str_of(c->verb));
    json_close(&o);
    buf_addc(out, '\n');
    return out->failed ? err_set(e, ERR_LIMIT, "the arguments are larger than a line may be") : 0;
}

#define UNIX_SECONDS_MAX 253402300799.0        /* the end of the year 9999, as base/str's times */

/* The keys an answer may have, by kind; "id" is gone already. */
static const char *const may_have[][8] = {
    [BODY_READ] = {"value", "at", "source", "unit", "unknown", "why", "error"},
    [BODY_STATE] = {"value", "refused", "unknown", "why", "error"},
    [BODY_CHECK] = {"verdict", "unknown", "why", "error"},
    [BODY_APPLY] = {"outcome", "why", "result", "error"},
    [BODY_PROBE] = {"value", "unknown", "why", "error"},
    [BODY_PERMITTED] = {NULL},
    [BODY_PREFLIGHT] = {NULL},
};

static bool is_word(const json_t *v, const char *const *words)
{
    size_t i;

    for (i = 0; json_is_string(v) && words[i]; i++) {
        if (strcmp(json_string_value(v), words[i]) == 0)
            return true;
    }
    return false;
}

static int check_keys(const struct body_call *c, const json_t *said, struct err *e)
{
    const char *key;
    json_t *v;
    size_t i;

    json_object_foreach((json_t *)said, key, v) {
        for (i = 0; may_have[c->kind][i] && strcmp(key, may_have[c->kind][i]) != 0; i++)
            ;
        if (!may_have[c->kind][i] && strcmp(key, "id") != 0)
            return err_set(e, ERR_INVALID, "the field '%.60s' is in no answer to %s", key, kind_names[c->kind]);
    }
    v = json_object_get(said, "why");
    return v && !json_is_string(v) ? err_set(e, ERR_INVALID, "why must be a text") : 0;
}

static json_t *unknown(const char *kind, const char *why)
{
    return json_pack("{s:s s:s}", "unknown", kind, "why", why);
}

/* What reads, states and checks have in common. NULL: none of it. */
static json_t *not_known(const json_t *said, struct err *e)
{
    static const char *const kinds[] = {"no_data", "error", "stale", "ambiguous", NULL};
    const json_t *kind = json_object_get(said, "unknown"), *error = json_object_get(said, "error");

    if (error)
        return unknown("error", json_is_string(error) ? json_string_value(error) : "no reason given");
    if (kind && !is_word(kind, kinds))
        err_set(e, ERR_INVALID, "unknown must be no_data, error, stale or ambiguous");
    return kind && !e->code ? unknown(json_string_value(kind), json_get_string(said, "why", "no reason given")) : NULL;
}

static json_t *read_answer(const struct body_call *c, const json_t *said, struct err *e)
{
    const json_t *spec = json_object_get(json_object_get(c->body->declared, "reads"), c->verb);
    const json_t *value = json_object_get(said, "value"), *at = json_object_get(said, "at");
    json_t *out = not_known(said, e);

    if (out || e->code)
        return out;
    if (!value || json_is_null(value))
        return value ? unknown("no_data", "no answer") : (err_set(e, ERR_INVALID, "an answer without a value"), NULL);
    if (schema_fits(json_object_get(spec, "returns"), value, "value", e) < 0)
        return NULL;
    if (at && !(json_is_number(at) && json_number_value(at) >= 0 && json_number_value(at) <= UNIX_SECONDS_MAX))
        return err_set(e, ERR_INVALID, "at must be Unix seconds"), NULL;
    out = json_pack("{s:O}", "value", value);
    if (at)
        json_object_set_new(out, "at", json_integer((json_int_t)(json_number_value(at) * 1000)));
    if (json_is_string(json_object_get(said, "source")))
        json_object_set(out, "source", json_object_get(said, "source"));
    if (json_is_string(json_object_get(said, "unit")))
        json_object_set(out, "unit", json_object_get(said, "unit"));
    return out;
}

static json_t *state_answer(const json_t *said, struct err *e)
{
    const json_t *value = json_object_get(said, "value"), *refused = json_object_get(said, "refused");
    json_t *out = not_known(said, e);

    if (out || e->code)
        return out;
    if (json_is_string(refused))
        return json_pack("{s:s s:O}", "refused", "error", "why", refused);
    if (!json_is_object(value) || json_object_size(value) == 0)
        return err_set(e, ERR_INVALID, "a state must be an object with the fields that matter"), NULL;
    return json_pack("{s:O}", "value", value);
}

static json_t *check_answer(const json_t *said, struct err *e)
{
    static const char *const verdicts[] = {"applied", "absent", "moved", NULL};
    json_t *out = not_known(said, e);

    if (out || e->code)
        return out;
    if (!is_word(json_object_get(said, "verdict"), verdicts))
        return err_set(e, ERR_INVALID, "verdict must be applied, absent or moved"), NULL;
    return json_pack("{s:O}", "verdict", json_object_get(said, "verdict"));
}

/* `error` is no outcome: it does not say whether the change was made, so it is unknown. */
static json_t *apply_answer(const json_t *said, struct err *e)
{
    static const char *const outcomes[] = {"sent", "refused", "moved", "unknown", NULL};
    const json_t *error = json_object_get(said, "error"), *result = json_object_get(said, "result");
    json_t *out;

    if (error)
        return json_pack("{s:s s:s}", "outcome", "unknown", "why",
                         json_is_string(error) ? json_string_value(error) : "no reason given");
    if (!is_word(json_object_get(said, "outcome"), outcomes))
        return err_set(e, ERR_INVALID, "outcome must be sent, refused, moved or unknown"), NULL;
    out = json_pack("{s:O s:s}", "outcome", json_object_get(said, "outcome"), "why",
                    json_get_string(said, "why", "no reason given"));
    if (result)
        json_object_set(out, "result", (json_t *)result);
    return out;
}

static json_t *probe_answer(const json_t *said, struct err *e)
{
    json_t *out = not_known(said, e);

    if (out || e->code)
        return out;
    if (!json_is_string(json_object_get(said, "value")))
        return err_set(e, ERR_INVALID, "a probe answers a text"), NULL;
    return json_pack("{s:O}", "value", json_object_get(said, "value"));
}

int process_answer(const struct body_call *c, const json_t *said, struct buf *out, struct err *e)
{
    json_t *a = NULL;

    if (check_keys(c, said, e) < 0)
        return e->code;
    switch (c->kind) {
    case BODY_READ:
        a = read_answer(c, said, e);
        break;
    case BODY_STATE:
        a = state_answer(said, e);
        break;
    case BODY_CHECK:
        a = check_answer(said, e);
        break;
    case BODY_APPLY:
        a = apply_answer(said, e);
        break;
    case BODY_PROBE:
        a = probe_answer(said, e);
        break;
    case BODY_PERMITTED:        /* never asked */
    case BODY_PREFLIGHT:
        break;
    }
    if (!a)
        return e->code ? e->code : err_set(e, ERR_INVALID, "no text may hold a NUL");
    if (json_add_value(out, a) < 0 || out->failed)
        err_set(e, ERR_LIMIT, "the answer is too large");
    json_decref(a);
    return e->code;
}

int process_configure(struct body *b, int64_t id, secret_fn again, void *ctx, struct buf *out, struct err *e)
{
    const char *name, *dir = b->registry->o.config->dir;
    json_t *settings = json_deep_copy(b->config->settings), *line, *kind;
    struct secret_value secret;
    char full[4096];
    int rc = 0;

    json_object_foreach(json_object_get(b->declared, "settings"), name, kind) {
        const char *named = json_get_string(settings, name, NULL);

        if (rc != 0 || !named || strcmp(json_string_value(kind), "secret") != 0)
            continue;
        rc = secret_get(b, named, b->plugin, &secret, again, ctx, e);
        if (rc == 0)
            json_object_set_new(settings, name, json_stringn(secret.value.p, secret.value.n));
    }
    line = json_pack("{s:s s:s s:I s:s s:O}", "call", "configure", "dir", realpath(dir, full) ? full : dir, "id",
                     (json_int_t)id, "name", b->instance, "settings", settings);
    if (b->registry->o.reads_only)
        json_object_set_new(line, "plan", json_true());
    if (rc == 0) {
        json_add_value(out, line);
        buf_addc(out, '\n');
    }
    json_decref(line);
    json_decref(settings);
    return rc;
}
