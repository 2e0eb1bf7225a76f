/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch.yaml, strictly: every key is known or an error that names the nearest. */
#include "config/internal.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *config_path(const struct config *c, struct str path)
{
    struct buf b = BUF_INIT(4096);

    if (path.p[0] != '/')
        buf_addf(&b, "%s/", c->dir);
    buf_add(&b, path.p, path.n);
    return buf_take(&b, NULL);
}

int config_words(const struct config *c, const struct yaml *y, const char *what, char ***out, struct err *e)
{
    size_t i;

    if (y->type != YAML_LIST || y->n == 0)
        return FAIL(y, "%s must be a list of texts", what);
    *out = xcalloc(y->n + 1, sizeof(**out));
    for (i = 0; i < y->n; i++) {
        if (y->items[i]->type != YAML_STRING || y->items[i]->text.n == 0)
            return FAIL(y->items[i], "%s: a text is expected here, not %s", what, yaml_type_name(y->items[i]->type));
        (*out)[i] = xstrndup(y->items[i]->text.p, y->items[i]->text.n);
    }
    return 0;
}

void config_free_words(char **words)
{
    size_t i;

    for (i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

static int read_instance(struct config *c, const struct yaml *key, const struct yaml *y, struct err *e)
{
    const struct yaml *plugin = yaml_get(y, "plugin");
    struct instance *x;

    if (y->type != YAML_MAP || !plugin || plugin->type != YAML_STRING) {
        FAIL(y, "instance '%.*s' must say its plugin", (int)key->text.n, key->text.p);
        return err_hint(e, "%.*s: { plugin: kubernetes, ... }", (int)key->text.n, key->text.p);
    }
    if (strcspn(key->text.p, "/:*{} \t") != key->text.n || key->text.n == 0)
        return FAIL(key, "'%.*s' is no name for an instance", (int)key->text.n, key->text.p);
    x = &c->instances[c->ninstances++];
    *x = (struct instance){.name = xstrndup(key->text.p, key->text.n),
                           .plugin = xstrndup(plugin->text.p, plugin->text.n), .settings = yaml_to_json(y),
                           .line = key->line, .column = key->column};
    json_object_del(x->settings, "plugin");
    x->places = xcalloc(y->n, sizeof(*x->places));
    for (; x->nplaces < y->n; x->nplaces++) {
        const struct yaml *k = y->keys[x->nplaces];

        x->places[x->nplaces] = (struct place){xstrndup(k->text.p, k->text.n), k->line, k->column};
    }
    return secrets_check_names(c, y, e);
}

static int read_instances(struct config *c, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_MAP)
        return FAIL(y, "instances must be a map of names");
    /* Room for those that come from the environment. */
    c->instances = xcalloc(y->n + 8, sizeof(*c->instances));
    for (i = 0; i < y->n; i++) {
        if (read_instance(c, y->keys[i], y->items[i], e) < 0)
            return e->code;
    }
    return 0;
}

/* A directory that a key names, from where the configuration lies. */
static int read_dir(struct config *c, const struct yaml *y, const char *key, char **out, struct err *e)
{
    const struct yaml *v = yaml_get(y, key);

    if (!v)
        return 0;
    if (v->type != YAML_STRING || v->text.n == 0)
        return FAIL(v, "%s must be a directory", key);
    *out = config_path(c, v->text);
    return 0;
}

static int read_all(struct config *c, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"instances", "commands", "channels", "hosts", "secrets", "allow", "routes", "state",
                                       "plugins", "freezes", "budgets", "ineffective", "stale_trigger", "flapping",
                                       "approvals"};
    const struct yaml *v;

    if (y->type != YAML_MAP)
        return FAIL(y, "the configuration must be a map");
    if (yaml_only_keys(y, c->file, keys, sizeof(keys) / sizeof(keys[0]), e) < 0 ||
        read_dir(c, y, "state", &c->state_dir, e) < 0 || read_dir(c, y, "plugins", &c->plugin_dir, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "secrets")) && secrets_read_section(c, v, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "hosts")) && config_words(c, v, "hosts", &c->hosts, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "allow")) && allow_read_section(c, v, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "routes")) && routes_read_section(c, v, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "freezes")) && freezes_read_section(c, v, e) < 0)
        return e->code;
    if (policy_read_sections(c, y, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "channels")) && channels_read_section(c, v, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "instances")) && read_instances(c, v, e) < 0)
        return e->code;
    if ((v = yaml_get(y, "commands")) && commands_read_section(c, v, e) < 0)
        return e->code;
    return 0;
}

static struct config *config_new(const char *file)
{
    struct config *c = xcalloc(1, sizeof(*c));
    const char *slash = file ? strrchr(file, '/') : NULL;

    c->file = file ? xstrdup(file) : NULL;
    c->dir = slash == file && slash ? xstrdup("/") : slash ? xstrndup(file, (size_t)(slash - file)) : xstrdup(".");
    c->commands = json_object();
    c->off_after = OFF_AFTER;
    return c;
}

int config_read(struct str text, const char *file, struct config **out, struct err *e)
{
    struct config *c = config_new(file);
    struct yaml *y = NULL;
    struct err own = {0};
    int rc;

    e = e ? e : &own;
    rc = yaml_read(text, file, 1, &y, e);
    if (rc == 0)
        rc = read_all(c, y, e);
    yaml_tree_free(y);
    if (rc < 0)
        config_free(c);
    else
        *out = c;
    return rc;
}

static int load_file(const char *path, struct buf *text, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t n = 1;
    int rc = 0;

    if (fd < 0)
        return err_set(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_set(e, ERR_INVALID, "%s: not a regular file", path);
    else if (st.st_mode & S_IWOTH)
        rc = err_set(e, ERR_DENIED, "%s: anybody may write it (chmod o-w)", path);
    while (rc == 0 && n > 0) {
        char *to = buf_reserve(text, 8 * KIB);

        n = to ? read(fd, to, 8 * KIB) : -1;
        if (n < 0)
            rc = err_set(e, ERR_LIMIT, "%s: cannot be read whole", path);
        else
            text->len += (size_t)n;
    }
    close(fd);
    return rc;
}

/* The places without --config, in their order; "" where there is none. */
static void places(char out[4][4096])
{
    const char *named = getenv("MIDWATCH_CONFIG"), *home = getenv("HOME"), *xdg = getenv("XDG_CONFIG_HOME");

    memset(out, 0, 4 * 4096);
    snprintf(out[0], 4096, "%s", named ? named : "");
    snprintf(out[1], 4096, "./midwatch.yaml");
    if (xdg && xdg[0])
        snprintf(out[2], 4096, "%s/midwatch/midwatch.yaml", xdg);
    else if (home && home[0])
        snprintf(out[2], 4096, "%s/.config/midwatch/midwatch.yaml", home);
    snprintf(out[3], 4096, "/etc/midwatch/midwatch.yaml");
}

int config_load(const char *explicit_file, struct config **out, struct err *e)
{
    char paths[4][4096];
    struct buf text = BUF_INIT(YAML_BYTES_MAX);
    struct err found = {0};
    size_t i;
    int rc = ERR_NOT_FOUND;

    places(paths);
    if (explicit_file) {
        snprintf(paths[0], sizeof(paths[0]), "%s", explicit_file);
        paths[1][0] = paths[2][0] = paths[3][0] = '\0';
    }
    for (i = 0; i < 4 && rc == ERR_NOT_FOUND; i++) {
        if (paths[i][0] == '\0')
            continue;
        rc = load_file(paths[i], &text, &found);
        if (rc == 0)
            rc = config_read((struct str){text.data ? text.data : "", text.len}, paths[i], out, &found);
        if (rc == 0)
            (*out)->found = explicit_file ? CONFIG_NAMED : (enum config_found)(CONFIG_ENV + i);
        else if (rc == ERR_NOT_FOUND && i == 0)
            break;      /* this one was named */
    }
    buf_free(&text);
    if (rc == ERR_NOT_FOUND && paths[0][0] == '\0') {
        *out = config_new(NULL);
        return 0;
    }
    if (rc < 0 && e)
        *e = found;
    return rc;
}

void config_free(struct config *c)
{
    size_t i, k;

    if (!c)
        return;
    for (i = 0; i < c->ninstances; i++) {
        free(c->instances[i].name);
        free(c->instances[i].plugin);
        json_decref(c->instances[i].settings);
        for (k = 0; k < c->instances[i].nplaces; k++)
            free(c->instances[i].places[k].setting);
        free(c->instances[i].places);
    }
    free(c->instances);
    config_free_words(c->hosts);
    allow_free_section(c);
    freezes_free_section(c);
    policy_free_sections(c);
    channels_free_section(c);
    routes_free_section(c);
    secrets_free_section(c);
    free(c->file);
    free(c->dir);
    free(c->state_dir);
    free(c->plugin_dir);
    json_decref(c->commands);
    free(c);
}

void config_place(const struct instance *x, const char *setting, int *line, int *column)
{
    size_t i;

    *line = x->line;
    *column = x->column;
    for (i = 0; i < x->nplaces; i++) {
        if (strcmp(x->places[i].setting, setting) == 0) {
            *line = x->places[i].line;
            *column = x->places[i].column;
        }
    }
}

const char *config_plugin(const struct config *c, struct str instance)
{
    size_t i;

    for (i = 0; i < c->ninstances; i++) {
        if (str_is(instance, c->instances[i].name))
            return c->instances[i].plugin;
    }
    return NULL;
}

static const struct instance *add_implicit(struct config *c, const char *name, json_t *settings)
{
    struct instance *x;

    if (!c->instances)
        c->instances = xcalloc(8, sizeof(*c->instances));
    x = &c->instances[c->ninstances++];
    *x = (struct instance){.name = xstrdup(name), .plugin = xstrdup(name), .settings = settings, .implicit = true};
    return x;
}

const struct instance *config_instance(struct config *c, const char *name)
{
    const char *url = getenv("PROMETHEUS_URL"), *kube = getenv("KUBECONFIG"), *home = getenv("HOME");
    char path[4096];
    size_t i;

    for (i = 0; i < c->ninstances; i++) {
        if (strcmp(c->instances[i].name, name) == 0)
            return &c->instances[i];
    }
    if (strcmp(name, "shell") == 0)
        return add_implicit(c, name, json_object());
    if (strcmp(name, "prometheus") == 0 && url && url[0])
        return add_implicit(c, name, json_pack("{s:s}", "url", url));
    if (strcmp(name, "kubernetes") == 0) {
        snprintf(path, sizeof(path), "%s/.kube/config", home ? home : "");
        if ((kube && kube[0]) || access(path, R_OK) == 0)
            return add_implicit(c, name, json_pack("{s:s}", "kubeconfig", kube && kube[0] ? kube : path));
    }
    return NULL;
}

char *config_state_dir(const struct config *c, const char *explicit_dir)
{
    const char *env = getenv("MIDWATCH_STATE"), *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME");
    struct buf b = BUF_INIT(4096);

    if (explicit_dir)
        return xstrdup(explicit_dir);
    if (c && c->state_dir)
        return xstrdup(c->state_dir);
    if (env && env[0])
        return xstrdup(env);
    if (geteuid() == 0)
        return xstrdup("/var/lib/midwatch");
    if (xdg && xdg[0])
        buf_addf(&b, "%s/midwatch", xdg);
    else
        buf_addf(&b, "%s/.local/state/midwatch", home ? home : ".");
    return buf_take(&b, NULL);
}
