/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets of the process. */
#include "plugin/secret.h"

#include "base/limits.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define RENEW_AFTER_MS 5000     /* a command is not asked again sooner, however often it is refused */

struct waiter {
    struct waiter *next;
    secret_fn again;
    void *ctx;
};

struct secret {
    struct registry *registry;
    const struct secret_source *source;
    char *value;                /* NULL until it is read */
    size_t len;
    struct secret_stamp stamp;
    int64_t read_ms;
    struct host_op *op;         /* its command */
    struct waiter *waiting;
};

/* From the first secret on the process leaves no core, and nobody but root may look into it. */
static void close_process(void)
{
    struct rlimit none = {0};
    static bool closed;

    if (closed)
        return;
    closed = true;
    getrlimit(RLIMIT_CORE, &none);
    none.rlim_cur = 0;
    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__)
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

static void forget_value(struct secret *s)
{
    if (s->value)
        explicit_bzero(s->value, s->len);
    free(s->value);
    s->value = NULL;
}

/* Takes the value over from b. */
static void keep(struct secret *s, struct buf *b)
{
    forget_value(s);
    close_process();
    s->value = xmemdup(buf_text(b), b->len + 1);
    s->len = b->len;
    s->read_ms = s->registry->o.host->ops->mono_ms(s->registry->o.host);
    explicit_bzero(b->data, b->cap);
    log_secret((struct str){s->value, s->len});
}

static int read_now(struct secret *s, struct err *e)
{
    struct buf b = BUF_INIT(2 * SECRET_BYTES_MAX);
    struct secret_stamp stamp;
    int rc = secret_read(s->source, &b, &stamp, e);

    if (rc == 0) {
        keep(s, &b);
        s->stamp = stamp;
    }
    buf_free(&b);
    return rc;
}

static struct secret *all_secrets(struct registry *r)
{
    size_t i, n = r->o.config ? r->o.config->nsecrets : 0;

    if (!r->configured_secrets && n) {
        r->configured_secrets = xcalloc(n, sizeof(*r->configured_secrets));
        for (i = 0; i < n; i++)
            r->configured_secrets[i] = (struct secret){.registry = r, .source = &r->o.config->secrets[i]};
    }
    return r->configured_secrets;
}

static struct secret *find(struct registry *r, const char *name, struct err *e)
{
    const struct secret_source *source = config_secret(r->o.config, name, e);

    return source ? &all_secrets(r)[source - r->o.config->secrets] : NULL;
}

/* Commands */

static void tell_waiting(struct secret *s, const struct err *err)
{
    struct waiter *w;

    while ((w = s->waiting) != NULL) {
        s->waiting = w->next;
        w->again(w->ctx, err);
        free(w);
    }
}

/* What a command said of its failure: the first line of its stderr, never of its stdout. */
static int command_failed(const struct secret *s, const struct spawn_answer *a, struct err *e)
{
    size_t n = 0;
    struct buf b = BUF_INIT(1024);

    while (n < a->errout.n && n < 200 && a->errout.p[n] != '\n')
        n++;
    str_add_printable(&b, a->errout.p, n);
    if (a->timed_out)
        err_set(e, ERR_TIMEOUT, "secret '%s': %s took longer than it may", s->source->name, s->source->place);
    else
        err_set(e, ERR_IO, "secret '%s': %s ended with %s %d%s%s", s->source->name, s->source->place,
                a->signal ? "signal" : "exit", a->signal ? a->signal : a->exit_code, b.len ? ": " : "", buf_text(&b));
    buf_free(&b);
    return e->code;
}

static void on_command(void *ctx, const struct spawn_answer *a)
{
    struct secret *s = ctx;
    struct buf b = BUF_INIT(2 * SECRET_BYTES_MAX);
    struct err e = {0};

    s->op = NULL;
    if (a->err) {
        e = *a->err;
        err_wrap(&e, "secret '%s'", s->source->name);
    } else if (a->timed_out || a->signal || a->exit_code != 0) {
        command_failed(s, a, &e);
    } else {
        buf_add(&b, a->out.p, a->out.n);
        b.failed |= a->truncated;
        if (secret_check(s->source->name, &b, &e) == 0)
            keep(s, &b);
    }
    if (a->out.n)
        explicit_bzero((char *)a->out.p, a->out.n);
    buf_free(&b);
    tell_waiting(s, e.code ? &e : NULL);
}

static int begin_command(struct secret *s, struct err *e)
{
    struct host *h = s->registry->o.host;
    struct spawn_request q = {.argv = (const char *const *)s->source->argv, .timeout_ms = s->source->timeout_ms,
                              .more_env = (const char *const *)s->source->env, .max_output = 2 * SECRET_BYTES_MAX};

    return h->ops->spawn(h, &q, on_command, s, &s->op, e) < 0 ? err_wrap(e, "secret '%s'", s->source->name) : 0;
}

static int wait_for(struct secret *s, secret_fn again, void *ctx, struct err *e)
{
    struct waiter *w;

    if (!s->op && begin_command(s, e) < 0)
        return e->code;
    w = xcalloc(1, sizeof(*w));
    *w = (struct waiter){s->waiting, again, ctx};
    s->waiting = w;
    return SECRET_LATER;
}

/* Who may use it */

/* `secret: NAME` anywhere in v. */
static bool names_secret(const json_t *v, const char *name)
{
    const char *key;
    json_t *item;
    size_t i;

    json_object_foreach((json_t *)v, key, item) {
        if (names_secret(item, name) || (strcmp(key, "secret") == 0 && json_is_string(item) &&
                                         strcmp(json_string_value(item), name) == 0))
            return true;
    }
    json_array_foreach(v, i, item) {
        if (names_secret(item, name))
            return true;
    }
    return false;
}

static bool is_secret_setting(const json_t *type)
{
    return json_is_string(type) && strcmp(json_string_value(type), "secret") == 0;
}

/* The operator gave it to this instance: in a setting that the plugin declares as secret, or as `secret: NAME`. */
static bool is_given(const struct body *b, const char *name)
{
    const json_t *settings = b->config ? b->config->settings : NULL, *value;
    const char *key;
    json_t *type;

    json_object_foreach(json_object_get(b->declared, "settings"), key, type) {
        value = json_object_get(settings, key);
        if (is_secret_setting(type) && json_is_string(value) && strcmp(json_string_value(value), name) == 0)
            return true;
    }
    return names_secret(settings, name) ||
           (strcmp(b->plugin, "shell") == 0 && names_secret(b->registry->o.config->commands, name));
}

int secret_check_settings(struct body *b, struct err *e)
{
    const char *key;
    json_t *type;

    json_object_foreach(json_object_get(b->declared, "settings"), key, type) {
        const json_t *value = b->config ? json_object_get(b->config->settings, key) : NULL;

        if (json_is_string(value) && is_secret_setting(type) &&
            !config_secret(b->registry->o.config, json_string_value(value), e)) {
            e->code = ERR_INVALID;
            snprintf(b->setting, sizeof(b->setting), "%s", key);
            return err_wrap(e, "%s", key);
        }
    }
    return 0;
}

static int is_for(const struct secret_source *s, const char *program, struct err *e)
{
    size_t i;

    if (!program)
        return s->origins ? 0 : err_set(e, ERR_DENIED, "secret '%s' is for no server (hosts)", s->name);
    for (i = 0; s->programs && s->programs[i]; i++) {
        if (strcmp(s->programs[i], program) == 0)
            return 0;
    }
    return err_set(e, ERR_DENIED, "secret '%s' is not for the program '%.100s' (programs)", s->name, program);
}

static int text_of_handle(struct registry *r, const char *handle, struct secret_value *out, struct err *e)
{
    long n = strtol(handle + 7, NULL, 10);

    if (n <= 0 || (size_t)n > r->nsecrets)
        return err_set(e, ERR_INVALID, "no such secret");
    *out = (struct secret_value){.value = str_of(r->secrets[n - 1])};
    return 0;
}

int secret_get(struct body *b, const char *name, const char *program, struct secret_value *out, secret_fn again, void *ctx,
               struct err *e)
{
    struct registry *r = b->registry;
    struct secret *s;

    if (strncmp(name, "secret:", 7) == 0)
        return text_of_handle(r, name, out, e);
    s = find(r, name, e);
    if (!s)
        return e->code;
    if (!is_given(b, name))
        return err_set(e, ERR_DENIED, "secret '%s' is not given to the instance '%s'", name, b->instance);
    if (is_for(s->source, program, e) < 0)
        return e->code;
    if (!s->value && s->source->from == SECRET_COMMAND)
        return wait_for(s, again, ctx, e);
    if (!s->value && read_now(s, e) < 0)
        return e->code;
    *out = (struct secret_value){{s->value, s->len}, (const char *const *)s->source->origins};
    return 0;
}

void secret_forget(struct registry *r, void *ctx)
{
    size_t i, n = r->configured_secrets ? r->o.config->nsecrets : 0;

    for (i = 0; i < n; i++) {
        struct waiter **at = &r->configured_secrets[i].waiting, *w;

        while ((w = *at) != NULL) {
            if (w->ctx == ctx) {
                *at = w->next;
                free(w);
            } else {
                at = &w->next;
            }
        }
    }
}

bool secret_renew(struct registry *r, const char *name)
{
    struct secret *s = find(r, name, &(struct err){0});
    struct host *h = r->o.host;
    char *old;
    bool other;

    if (!s || !s->value)
        return false;
    if (s->source->from == SECRET_COMMAND) {
        other = h->ops->mono_ms(h) - s->read_ms >= RENEW_AFTER_MS;
        if (other)
            forget_value(s);
        return other;
    }
    if (!secret_moved(s->source, &s->stamp))
        return false;
    old = xstrndup(s->value, s->len);
    other = read_now(s, &(struct err){0}) == 0 && strcmp(old, s->value) != 0;
    explicit_bzero(old, strlen(old));
    free(old);
    return other;
}

void secret_learn(struct registry *r)
{
    size_t i, n = r->o.config ? r->o.config->nsecrets : 0;

    if (r->learnt)
        return;
    r->learnt = true;
    for (i = 0; i < n; i++) {
        struct secret *s = &all_secrets(r)[i];

        if (!s->value && s->source->from != SECRET_COMMAND)
            read_now(s, &(struct err){0});
    }
}

void secret_handle(struct registry *r, const char *text, char *out, size_t size)
{
    size_t i;

    for (i = 0; i < r->nsecrets && strcmp(r->secrets[i], text) != 0; i++)
        ;
    if (i == r->nsecrets) {
        r->secrets = xrealloc(r->secrets, (i + 1) * sizeof(*r->secrets));
        r->secrets[r->nsecrets++] = xstrdup(text);
        log_secret(str_of(text));
        close_process();
    }
    snprintf(out, size, "secret:%zu", i + 1);
}

void secret_free_all(struct registry *r)
{
    size_t i, n = r->configured_secrets ? r->o.config->nsecrets : 0;
    struct host *h = r->o.host;

    for (i = 0; i < n; i++) {
        struct secret *s = &r->configured_secrets[i];
        struct waiter *w;

        if (s->op)
            h->ops->cancel(h, s->op);
        while ((w = s->waiting) != NULL) {
            s->waiting = w->next;
            free(w);
        }
        forget_value(s);
    }
    free(r->configured_secrets);
    for (i = 0; i < r->nsecrets; i++) {
        explicit_bzero(r->secrets[i], strlen(r->secrets[i]));
        free(r->secrets[i]);
    }
    free(r->secrets);
}
