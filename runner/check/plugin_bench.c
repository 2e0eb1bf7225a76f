/* SPDX-License-Identifier: Apache-2.0 */
#include "check/plugin_bench.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/yaml.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int plugin_place_of(const char *path, struct plugin_place *out, struct err *e)
{
    char full[4096], *slash, *dot;
    struct stat st;
    bool folder;

    if (!realpath(path, full) || stat(full, &st) != 0)
        return err_set(e, ERR_NOT_FOUND, "%s: there is no such plugin", path);
    folder = S_ISDIR(st.st_mode);
    slash = strrchr(full, '/');
    *slash = '\0';
    snprintf(out->dir, sizeof(out->dir), "%s", full[0] ? full : "/");
    snprintf(out->name, sizeof(out->name), "%.120s", slash + 1);
    dot = strrchr(out->name, '.');
    if (dot && (strcmp(dot, ".lua") == 0 || strcmp(dot, ".json") == 0))
        *dot = '\0';
    snprintf(out->examples, sizeof(out->examples), "%s%s%s/%s.plugin-test.yaml", out->dir, folder ? "/" : "",
             folder ? out->name : "", out->name);
    return 0;
}

static int check_examples(const struct yaml *y, const char *file, struct err *e)
{
    static const char *const keys[] = {"settings", "secrets", "files", "reads", "effects"};
    static const char *const read_keys[] = {"read", "args", "value", "unknown"}, *const effect_keys[] = {"effect", "args"};
    const struct yaml *list;
    size_t i;

    if (y->type != YAML_MAP)
        return yaml_err(e, file, y, "the examples are a map of settings, secrets, files, reads and effects");
    if (yaml_only_keys(y, file, keys, 5, e) < 0)
        return e->code;
    list = yaml_get(y, "reads");
    for (i = 0; list && i < list->n; i++) {
        if (list->items[i]->type != YAML_MAP || !yaml_get(list->items[i], "read"))
            return yaml_err(e, file, list->items[i], "an example is { read: NAME, args: {...}, value: ... }");
        if (yaml_only_keys(list->items[i], file, read_keys, 4, e) < 0)
            return e->code;
    }
    list = yaml_get(y, "effects");
    for (i = 0; list && i < list->n; i++) {
        if (list->items[i]->type != YAML_MAP || !yaml_get(list->items[i], "effect"))
            return yaml_err(e, file, list->items[i], "an example is { effect: NAME, args: {...} }");
        if (yaml_only_keys(list->items[i], file, effect_keys, 2, e) < 0)
            return e->code;
    }
    return 0;
}

static int read_examples(struct bench *t, const char *file, struct err *e)
{
    struct buf text = BUF_INIT(YAML_BYTES_MAX);
    struct yaml *y = NULL;
    int rc = t->host->ops->read_file(t->host, file, YAML_BYTES_MAX, &text, e);

    if (rc == ERR_NOT_FOUND)
        err_hint(e, "it says the settings and an example of every read and effect");
    if (rc == 0)
        rc = yaml_read((struct str){buf_text(&text), text.len}, file, 1, &y, e);
    if (rc == 0)
        rc = check_examples(y, file, e);
    if (rc == 0)
        t->examples = yaml_to_json(y);
    yaml_tree_free(y);
    buf_free(&text);
    return rc;
}

/* {{tmp}} in every text. */
static void fill_tmp(struct bench *t, json_t *v)
{
    const char *key, *at;
    struct buf b;
    json_t *x;
    size_t i;

    json_array_foreach(v, i, x)
        fill_tmp(t, x);
    if (json_is_object(v)) {
        json_object_foreach(v, key, x)
            fill_tmp(t, x);
    }
    while (json_is_string(v) && (at = strstr(json_string_value(v), "{{tmp}}")) != NULL) {
        buf_init(&b, MIB);
        buf_add(&b, json_string_value(v), (size_t)(at - json_string_value(v)));
        buf_adds(&b, t->tmp);
        buf_adds(&b, at + 7);
        json_string_set(v, buf_text(&b));
        buf_free(&b);
    }
}

static int write_files(struct bench *t, struct err *e)
{
    char path[4096];
    const char *name;
    json_t *text;

    json_object_foreach(json_object_get(t->examples, "files"), name, text) {
        if (strchr(name, '/') || !json_is_string(text))
            return err_set(e, ERR_INVALID, "files: '%.60s' must be a plain name with a text", name);
        snprintf(path, sizeof(path), "%s/%s", t->tmp, name);
        if (t->host->ops->write_file(t->host, path, str_of(json_string_value(text)), e) < 0)
            return e->code;
    }
    return 0;
}

int bench_load(struct bench *t, struct err *e)
{
    struct registry_options o = {.host = t->host, .config = t->config};
    const json_t *declared;
    int rc = registry_new(&o, &t->registry, e);

    if (rc == 0)
        rc = registry_describe(t->registry, BENCH_INSTANCE, NULL, &declared, e);
    if (rc == 0 && !t->declared)
        t->declared = json_deep_copy(declared);
    return rc;
}

/* A configuration with the one instance, as an operator would write it. */
static int make_config(struct bench *t, const struct plugin_place *at, struct err *e)
{
    json_t *settings = json_object_get(t->examples, "settings"), *secrets = json_object_get(t->examples, "secrets");
    json_t *instance = settings ? json_copy(settings) : json_object(), *all;
    char *text;
    int rc;

    json_object_set_new(instance, "plugin", json_string(at->name));
    all = json_pack("{s:s s:{s:o}}", "plugins", at->dir, "instances", BENCH_INSTANCE, instance);
    if (secrets)
        json_object_set(all, "secrets", secrets);
    text = json_dumps(all, JSON_ENSURE_ASCII);
    rc = config_read(str_of(text), at->examples, &t->config, e);
    free(text);
    json_decref(all);
    return rc;
}

int bench_open(struct bench *t, const char *path, struct err *e)
{
    struct plugin_place at;
    int rc = plugin_place_of(path, &at, e);

    if (rc == 0)
        rc = host_real_new(&t->host, e);
    if (rc == 0)
        rc = read_examples(t, at.examples, e);
    if (rc < 0)
        return rc;
    snprintf(t->tmp, sizeof(t->tmp), "/tmp/midwatch-plugin-XXXXXX");
    if (!mkdtemp(t->tmp)) {
        t->tmp[0] = '\0';
        return err_set(e, ERR_IO, "no temporary directory can be made");
    }
    fill_tmp(t, t->examples);
    return write_files(t, e) < 0 ? e->code : make_config(t, &at, e);
}

/* The directory and the plain files in it. */
static void remove_tmp(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    char path[400];

    while (d && (entry = readdir(d)) != NULL) {
        snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

void bench_close(struct bench *t)
{
    registry_free(t->registry);
    config_free(t->config);
    json_decref(t->examples);
    json_decref(t->declared);
    if (t->host)
        t->host->ops->free(t->host);
    if (t->tmp[0])
        remove_tmp(t->tmp);
}

static bool turn(void *ctx)
{
    struct bench *t = ctx;
    bool more = registry_turn(t->registry);

    if (t->answered)
        t->host->ops->stop(t->host);
    return more;
}

static void on_answer(void *ctx, struct str answer)
{
    struct bench *t = ctx;
    struct err e = {0};

    t->answered = true;
    if (json_read(answer, &t->answer, &e) < 0)
        t->answer = json_pack("{s:s s:s}", "unknown", "error", "why", e.msg);
}

static int start(struct bench *t, enum body_kind kind, const char *verb, const json_t *args, const json_t *extra,
                 struct body_call **call, struct err *e)
{
    struct buf a = BUF_INIT(VALUE_BYTES_MAX), x = BUF_INIT(2 * VALUE_BYTES_MAX);
    struct body_request q = {.kind = kind, .instance = BENCH_INSTANCE, .verb = verb, .timeout_ms = BENCH_CALL_MS};
    int rc;

    if (args)
        json_add_value(&a, args);
    if (extra)
        json_add_value(&x, extra);
    q.args = (struct str){a.data, a.len};
    q.extra = (struct str){x.data, x.len};
    t->answered = false;
    t->answer = NULL;
    rc = body_start(t->registry, &q, on_answer, t, call, e);
    buf_free(&a);
    buf_free(&x);
    return rc;
}

json_t *bench_ask(struct bench *t, enum body_kind kind, const char *verb, const json_t *args, const json_t *extra)
{
    struct body_call *call;
    struct err e = {0};

    if (start(t, kind, verb, args, extra, &call, &e) < 0 || t->host->ops->run(t->host, turn, t, &e) < 0)
        return json_pack("{s:s s:s}", "unknown", "error", "why", e.msg);
    return t->answer;
}

static void over(void *ctx)
{
    struct bench *t = ctx;

    t->timer = NULL;
    t->answered = true;
}

static void wait_ms(struct bench *t, int64_t ms)
{
    struct err e = {0};

    t->answered = false;
    if (t->host->ops->timer(t->host, ms, over, t, &t->timer, &e) == 0)
        t->host->ops->run(t->host, turn, t, &e);
}

void bench_cut(struct bench *t, const char *verb, const json_t *args, const json_t *extra, int64_t after_ms, int64_t calm_ms)
{
    struct body_call *call;
    struct err e = {0};

    if (start(t, BODY_APPLY, verb, args, extra, &call, &e) == 0 &&
        t->host->ops->timer(t->host, after_ms, over, t, &t->timer, &e) == 0)
        t->host->ops->run(t->host, turn, t, &e);
    if (t->timer)
        t->host->ops->cancel(t->host, t->timer);    /* it was faster than the cut */
    t->timer = NULL;
    json_decref(t->answer);
    t->answer = NULL;
    registry_free(t->registry);
    t->registry = NULL;
    if (bench_load(t, &e) == 0)
        wait_ms(t, calm_ms);
}
