/* SPDX-License-Identifier: Apache-2.0 */
/* The section `secrets:`. A secret says one source and who may get it; a server is named
 * like a browser's origin, so that the same machine on another port, or without TLS, is
 * another server. */
#include "config/secrets.h"
#include "config/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define TIMEOUT_MS 10000

/* host, host:port, or either behind http:// or https://. */
static int read_origin(const struct config *c, const struct yaml *y, char **out, struct err *e)
{
    const char *host = y->text.p, *port;
    bool plain = strncasecmp(host, "http://", 7) == 0;
    struct buf b = BUF_INIT(512);
    size_t n, i;

    host += plain ? 7 : strncasecmp(host, "https://", 8) == 0 ? 8 : 0;
    n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    port = n < strlen(host) ? host + n : "";
    if (n == 0 || n > strlen(host) || strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:") <
        strlen(host) || (port[0] && (port[0] != ':' || !port[1] || strspn(port + 1, "0123456789") != strlen(port + 1)))) {
        FAIL(y, "hosts: '%.100s' is no server", y->text.p);
        return err_hint(e, "host, host:port, or http://host:port where there is no TLS");
    }
    buf_adds(&b, plain ? "http://" : "https://");
    for (i = 0; i < n; i++)
        buf_addc(&b, (char)tolower((unsigned char)host[i]));
    buf_adds(&b, port[0] ? port : plain ? ":80" : ":443");
    *out = buf_take(&b, NULL);
    return 0;
}

static int read_origins(const struct config *c, const struct yaml *y, char ***out, struct err *e)
{
    char **written = NULL;
    int rc = config_words(c, y, "hosts", &written, e);
    size_t i;

    config_free_words(written);
    if (rc < 0)
        return rc;
    *out = xcalloc(y->n + 1, sizeof(**out));
    for (i = 0; i < y->n; i++) {
        if (read_origin(c, y->items[i], &(*out)[i], e) < 0)
            return e->code;
    }
    return 0;
}

/* A map of texts as "K=V". */
static int read_environment(const struct config *c, const struct yaml *y, char ***out, struct err *e)
{
    struct buf b = BUF_INIT(64 * 1024);
    size_t i;

    if (y->type != YAML_MAP)
        return FAIL(y, "environment must be a map like { VAULT_ADDR: \"https://vault:8200\" }");
    *out = xcalloc(y->n + 1, sizeof(**out));
    for (i = 0; i < y->n; i++) {
        if (y->items[i]->type != YAML_STRING || strchr(y->keys[i]->text.p, '='))
            return FAIL(y->keys[i], "environment: '%.100s' must be a name with a text", y->keys[i]->text.p);
        buf_addf(&b, "%s=%s", y->keys[i]->text.p, y->items[i]->text.p);
        (*out)[i] = buf_take(&b, NULL);
        buf_init(&b, 64 * 1024);
    }
    return 0;
}

static int read_command(const struct config *c, const struct yaml *y, struct secret_source *s, struct err *e)
{
    const struct yaml *timeout = yaml_get(y, "timeout"), *environment = yaml_get(y, "environment");

    if (s->from != SECRET_COMMAND)
        return timeout || environment ? FAIL(timeout ? timeout : environment, "only a command has timeout and environment") : 0;
    if (config_words(c, yaml_get(y, "command"), "command", &s->argv, e) < 0)
        return e->code;
    s->place = xstrdup(s->argv[0]);
    s->timeout_ms = TIMEOUT_MS;
    if (timeout && (timeout->type != YAML_STRING || str_duration_ms(timeout->text, &s->timeout_ms) < 0))
        return FAIL(timeout, "timeout must be a duration like 10s");
    return environment ? read_environment(c, environment, &s->env, e) : 0;
}

static int read_source(const struct config *c, const struct yaml *key, const struct yaml *y, struct secret_source *s,
                       struct err *e)
{
    static const char *const froms[] = {"file", "env", "credential", "command"};
    const struct yaml *v, *found = NULL;
    size_t i;

    for (i = 0; i < 4; i++) {
        if ((v = yaml_get(y, froms[i])) == NULL)
            continue;
        if (found)
            return FAIL(v, "secret '%s' has two sources", s->name);
        found = v;
        s->from = (enum secret_from)i;
    }
    if (!found) {
        FAIL(key, "secret '%s' does not say where it comes from", s->name);
        return err_hint(e, "file: PATH, env: VARIABLE, credential: NAME or command: [pass, show, x]");
    }
    if (s->from != SECRET_COMMAND && (found->type != YAML_STRING || found->text.n == 0))
        return FAIL(found, "%s must be a text", froms[s->from]);
    if (s->from == SECRET_CREDENTIAL && strchr(found->text.p, '/'))
        return FAIL(found, "credential is a name in $CREDENTIALS_DIRECTORY, not a path");
    if (s->from == SECRET_FILE)
        s->place = config_path(c, found->text);
    else if (s->from != SECRET_COMMAND)
        s->place = xstrndup(found->text.p, found->text.n);
    return read_command(c, y, s, e);
}

static int read_secret(struct config *c, const struct yaml *key, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"file", "env", "credential", "command", "environment", "timeout", "hosts", "programs"};
    struct secret_source *s = &c->secrets[c->nsecrets++];
    const struct yaml *hosts, *programs;

    *s = (struct secret_source){.name = xstrndup(key->text.p, key->text.n), .line = key->line, .column = key->column};
    if (key->text.n == 0 || key->text.n > 60 || strspn(s->name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != key->text.n)
        return FAIL(key, "'%.100s' is no name for a secret (small letters, digits, _ and -)", s->name);
    if (y->type != YAML_MAP) {
        FAIL(y, "secret '%s' must say where it comes from, and is never written here", s->name);
        return err_hint(e, "%s: { file: /etc/midwatch/%s, hosts: [example.org] }", s->name, s->name);
    }
    if (yaml_only_keys(y, c->file, keys, 8, e) < 0 || read_source(c, key, y, s, e) < 0)
        return e->code;
    hosts = yaml_get(y, "hosts");
    programs = yaml_get(y, "programs");
    if (!hosts && !programs) {
        FAIL(key, "secret '%s' does not say who may get it", s->name);
        return err_hint(e, "hosts: [example.org] for requests, programs: [psql] for commands");
    }
    if (hosts && read_origins(c, hosts, &s->origins, e) < 0)
        return e->code;
    return programs ? config_words(c, programs, "programs", &s->programs, e) : 0;
}

int secrets_read_section(struct config *c, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_MAP)
        return FAIL(y, "secrets must be a map of names");
    c->secrets = xcalloc(y->n, sizeof(*c->secrets));
    for (i = 0; i < y->n; i++) {
        if (read_secret(c, y->keys[i], y->items[i], e) < 0)
            return e->code;
    }
    return 0;
}

void secrets_free_section(struct config *c)
{
    size_t i;

    for (i = 0; i < c->nsecrets; i++) {
        free(c->secrets[i].name);
        free(c->secrets[i].place);
        config_free_words(c->secrets[i].argv);
        config_free_words(c->secrets[i].env);
        config_free_words(c->secrets[i].origins);
        config_free_words(c->secrets[i].programs);
    }
    free(c->secrets);
}

const struct secret_source *config_secret(const struct config *c, const char *name, struct err *e)
{
    const char *names[64], *near;
    size_t i;

    for (i = 0; c && i < c->nsecrets; i++) {
        if (strcmp(c->secrets[i].name, name) == 0)
            return &c->secrets[i];
        if (i < 64)
            names[i] = c->secrets[i].name;
    }
    near = c ? str_nearest(str_of(name), names, c->nsecrets < 64 ? c->nsecrets : 64) : NULL;
    err_set(e, ERR_NOT_FOUND, "there is no secret '%.100s'", name);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else
        err_hint(e, "add it under secrets: %.60s: { file: ..., hosts: [...] }", name);
    return NULL;
}

int secrets_check_names(const struct config *c, const struct yaml *y, struct err *e)
{
    struct err why = {0};
    size_t i;

    for (i = 0; i < y->n; i++) {
        const struct yaml *v = y->items[i];

        if (y->type == YAML_MAP && str_is(y->keys[i]->text, "secret")) {
            if (v->type != YAML_STRING)
                return FAIL(v, "secret must be the name of a secret");
            if (config_secret(c, v->text.p, &why))
                continue;
            FAIL(v, "%s", why.msg);
            return err_hint(e, "%s", why.hint);
        }
        if (secrets_check_names(c, v, e) < 0)
            return e->code;
    }
    return 0;
}
