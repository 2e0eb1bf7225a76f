/* SPDX-License-Identifier: Apache-2.0 */
/* What a body can do: http, exec, file, secret, pause, now, yaml, base64, matches, env.
 * Each takes one table and answers one; a failure is {"error": why}. Who may do what
 * is decided here: only an apply may send what changes something, and a request
 * that may have left is remembered before it leaves. Secrets are struck out of what
 * comes back before Lua has it: text that Lua cut would hide a half of one. */
#include "plugin/pick.h"
#include "plugin/secret.h"

#include "base/base64.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/yaml.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void primitive_answer(struct body_call *c, json_t *take)
{
    buf_reset(&c->answer);
    if (json_add_value(&c->answer, take) < 0) {
        buf_reset(&c->answer);
        buf_adds(&c->answer, "{\"error\":\"the answer is too large\"}");
    }
    json_decref(take);
    c->op = NULL;
    c->answered = c->body->looks_for_answers = true;
}

void primitive_error(struct body_call *c, const char *why)
{
    primitive_answer(c, json_pack("{s:s}", "error", why));
}

json_t *primitive_text(struct str s, bool raw, bool cut)
{
    struct buf b = BUF_INIT(s.n + 8);
    json_t *v;

    if (!raw && log_has_secrets()) {
        if (cut)
            log_redact_cut(&b, s);
        else
            log_redact(&b, s);
        s = (struct str){buf_text(&b), b.len};
    }
    v = pick_text(s);
    buf_free(&b);
    return v;
}

double primitive_number(const json_t *args, const char *key, double absent)
{
    const json_t *v = json_object_get(args, key);

    return json_is_number(v) ? json_number_value(v) : absent;
}

/* exec */

static void exec_answered(void *ctx, const struct spawn_answer *a)
{
    struct body_call *c = ctx;
    bool raw = json_get_bool(c->args, "raw", false);

    if (a->err) {
        primitive_error(c, a->err->msg);
        return;
    }
    primitive_answer(c, json_pack("{s:i s:o s:o s:i s:b s:b}", "code", a->exit_code,
                                  "err", primitive_text(a->errout, raw, a->truncated),
                                  "out", primitive_text(a->out, raw, a->truncated),
                                  "signal", a->signal, "timed_out", a->timed_out, "truncated", a->truncated));
}

static int words_of(const json_t *list, const char **out, size_t max, struct err *e)
{
    size_t i;
    json_t *v;

    if (json_array_size(list) == 0 || json_array_size(list) >= max)
        return err_set(e, ERR_INVALID, "exec: argv must be a list of 1 to %zu texts", max - 1);
    json_array_foreach(list, i, v) {
        if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
            return err_set(e, ERR_INVALID, "exec: word %zu is no text", i + 1);
        out[i] = json_string_value(v);
    }
    out[json_array_size(list)] = NULL;
    return 0;
}

/* A text, or the secret that {secret = name} names. */
static int handed_over(struct body_call *c, const json_t *v, const char *program, struct str *out, struct err *e)
{
    const char *name = json_get_string(v, "secret", NULL);
    struct secret_value s;
    int rc;

    if (!name) {
        if (!json_is_string(v))
            return err_set(e, ERR_INVALID, "exec: a text or {secret = name} is expected");
        *out = (struct str){json_string_value(v), json_string_length(v)};
        return 0;
    }
    rc = secret_get(c->body, name, program, &s, primitive_again, c, e);
    *out = s.value;
    return rc;
}

struct env_list {
    char *list[64];
    size_t n;
};

static void env_free(struct env_list *env)
{
    while (env->n > 0) {
        char *s = env->list[--env->n];

        explicit_bzero(s, strlen(s));
        free(s);
    }
}

/* env = {NAME = text or {secret = name}}. */
static int env_of(struct body_call *c, const json_t *map, const char *program, struct env_list *out, struct err *e)
{
    const char *key;
    struct str value = {0};
    json_t *v;
    int rc;

    json_object_foreach((json_t *)map, key, v) {
        struct buf b = BUF_INIT(128 * KIB);

        if (out->n == 62 || key[0] == '\0' || strchr(key, '='))
            return err_set(e, ERR_INVALID, "exec: env is a map of at most 62 names");
        if ((rc = handed_over(c, v, program, &value, e)) != 0)
            return rc;
        buf_addf(&b, "%s=", key);
        buf_add(&b, value.p, value.n);
        out->list[out->n++] = buf_take(&b, NULL);
    }
    return 0;
}

static int begin_exec(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;
    const char *argv[128];
    struct env_list env = {0};
    const json_t *input = json_object_get(args, "input"), *environment = json_object_get(args, "env");
    struct spawn_request q = {.argv = argv, .cwd = json_get_string(args, "cwd", NULL),
                              .timeout_ms = (int64_t)(primitive_number(args, "timeout", 20) * 1000)};
    bool changes = json_get_bool(args, "changes", false);
    int rc = words_of(json_object_get(args, "argv"), argv, 128, e);

    if (rc == 0 && changes && c->kind != BODY_APPLY)
        rc = err_set(e, ERR_DENIED, "only an effect may run what changes something");
    if (rc == 0)
        rc = env_of(c, environment, argv[0], &env, e);
    if (rc == 0 && input)
        rc = handed_over(c, input, argv[0], &q.input, e);
    if (rc == 0) {
        q.env = json_get_bool(args, "inherit", false) ? (const char *const *)environ : NULL;
        q.more_env = (const char *const *)env.list;
        c->may_have_sent |= changes;
        rc = h->ops->spawn(h, &q, exec_answered, c, &c->op, e);
    }
    env_free(&env);
    return rc;
}

/* The small ones */

static int begin_file(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;
    const char *path = json_get_string(args, "path", ""), *dir = json_get_string(args, "dir", ".");
    struct buf text = BUF_INIT(MIB);
    char full[4096];

    snprintf(full, sizeof(full), "%s%s%s", path[0] == '/' ? "" : dir, path[0] == '/' ? "" : "/", path);
    if (h->ops->read_file(h, full, MIB, &text, e) == 0)
        primitive_answer(c, json_pack("{s:o}", "text", primitive_text((struct str){buf_text(&text), text.len}, true, false)));
    else if (e->code == ERR_NOT_FOUND)
        primitive_answer(c, json_pack("{s:s s:b}", "error", e->msg, "missing", 1));
    buf_free(&text);
    return c->answered ? 0 : e->code;
}

static int begin_secret(struct body_call *c, const json_t *args, struct err *e)
{
    const char *value = json_get_string(args, "value", NULL);
    char handle[32];

    if (!value)
        return err_set(e, ERR_INVALID, "secret wants a text");
    secret_handle(c->body->registry, value, handle, sizeof(handle));
    primitive_answer(c, json_pack("{s:s}", "handle", handle));
    return 0;
}

static void paused(void *ctx)
{
    primitive_answer(ctx, json_object());
}

static int begin_pause(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;

    return h->ops->timer(h, json_get_int(args, "ms", 0), paused, c, &c->op, e);
}

static int begin_now(struct body_call *c, const json_t *args, struct err *e)
{
    struct host *h = c->body->registry->o.host;

    (void)args, (void)e;
    primitive_answer(c, json_pack("{s:I}", "ms", (json_int_t)h->ops->wall_ms(h)));
    return 0;
}

static int begin_yaml(struct body_call *c, const json_t *args, struct err *e)
{
    struct yaml *y = NULL;

    if (yaml_read(str_of(json_get_string(args, "text", "")), json_get_string(args, "name", c->body->plugin), 1, &y, e) == 0)
        primitive_answer(c, json_pack("{s:o}", "value", yaml_to_json(y)));
    yaml_tree_free(y);
    return e->code;
}

static int begin_base64(struct body_call *c, const json_t *args, struct err *e)
{
    struct buf out = BUF_INIT(MIB);
    int rc = base64_read(str_of(json_get_string(args, "text", "")), &out);

    if (rc == 0)
        primitive_answer(c, json_pack("{s:o}", "text", primitive_text((struct str){buf_text(&out), out.len}, true, false)));
    buf_free(&out);
    return rc == 0 ? 0 : err_set(e, rc, "not base64");
}

static int begin_matches(struct body_call *c, const json_t *args, struct err *e)
{
    struct buf whole = BUF_INIT(8 * KIB);
    regex_t re;
    bool yes = false;

    buf_addf(&whole, "^(%s)$", json_get_string(args, "pattern", ""));
    if (regcomp(&re, buf_text(&whole), REG_EXTENDED | REG_NOSUB) != 0) {
        buf_free(&whole);
        return err_set(e, ERR_INVALID, "the pattern is no regular expression");
    }
    yes = regexec(&re, json_get_string(args, "text", ""), 0, NULL, 0) == 0;
    regfree(&re);
    buf_free(&whole);
    primitive_answer(c, json_pack("{s:b}", "value", yes));
    return 0;
}

/* A variable of this program's environment; no value where there is none. */
static int begin_env(struct body_call *c, const json_t *args, struct err *e)
{
    const char *value = getenv(json_get_string(args, "name", ""));

    (void)e;
    primitive_answer(c, value && value[0] ? json_pack("{s:o}", "value", pick_text(str_of(value))) : json_object());
    return 0;
}

static const struct {
    const char *op;
    int (*begin)(struct body_call *c, const json_t *args, struct err *e);
} primitives[] = {
    {"http", http_begin},   {"exec", begin_exec}, {"file", begin_file},     {"secret", begin_secret},
    {"pause", begin_pause}, {"now", begin_now},   {"yaml", begin_yaml},     {"base64", begin_base64},
    {"matches", begin_matches}, {"env", begin_env},
};

static void failed(struct body_call *c, const struct err *e)
{
    char text[1400];

    primitive_error(c, err_text(e, text, sizeof(text)));
}

void primitive_again(void *ctx, const struct err *err)
{
    struct body_call *c = ctx;
    struct err e = {0};

    if (err || primitives[c->primitive].begin(c, c->args, &e) < 0)
        failed(c, err ? err : &e);
    c->body->registry->o.host->ops->wake(c->body->registry->o.host);
}

void primitive_begin(struct body_call *c, const struct vm_request *q)
{
    const size_t n = sizeof(primitives) / sizeof(primitives[0]);
    struct err e = {0};
    int rc;

    json_decref(c->args);
    c->args = NULL;
    rc = q->ncalls == 1 ? json_read(q->calls[0].args, &c->args, &e)
                        : err_set(&e, ERR_INVALID, "a primitive takes one call, not %zu", q->ncalls);
    c->generation = q->generation;
    c->answered = c->renewed = false;
    for (c->primitive = 0; c->primitive < n && !str_is(q->op, primitives[c->primitive].op); c->primitive++)
        ;
    if (rc == 0 && c->primitive == n)
        rc = err_set(&e, ERR_INVALID, "there is no primitive '%.*s'", (int)q->op.n, q->op.p);
    if (rc == 0) {
        secret_learn(c->body->registry);
        rc = primitives[c->primitive].begin(c, c->args, &e);
    }
    if (rc < 0)
        failed(c, &e);
}
