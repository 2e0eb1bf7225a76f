/* SPDX-License-Identifier: Apache-2.0 */
/* The section `commands:`: what `shell` may run, as argument lists. */
#include "config/internal.h"

static int read_argv(struct config *c, const struct yaml *key, const struct yaml *y, struct err *e)
{
    size_t i;

    if (!y || y->type != YAML_LIST || y->n == 0)
        return FAIL(y ? y : key, "command '%s': argv must be a list of words, never a shell line", key->text.p);
    for (i = 0; i < y->n; i++) {
        if (y->items[i]->type == YAML_LIST || y->items[i]->type == YAML_MAP)
            return FAIL(y->items[i], "command '%s': a word of argv must be a text", key->text.p);
    }
    return 0;
}

static int read_effect(struct config *c, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"class", "target", "check", "undo", "irreversible", "state", "sets", "refused", "ok"};
    static const char *const classes[] = {"ensure", "keyed", "never_twice"};
    const struct yaml *kind, *undo;
    size_t i;

    if (y->type != YAML_MAP)
        return FAIL(y, "effect must be a map like { class: never_twice, target: \"service/web\" }");
    if (yaml_only_keys(y, c->file, keys, 9, e) < 0)
        return e->code;
    if (!yaml_get(y, "target") || yaml_get(y, "target")->type != YAML_STRING)
        return FAIL(y, "effect: the target is missing");
    undo = yaml_get(y, "undo");
    if (undo && !str_is(undo->text, "not needed"))
        return FAIL(undo, "undo can only be: not needed; without it, it is derived from state and sets, or there is none");
    kind = yaml_get(y, "class");
    for (i = 0; kind && i < 3; i++) {
        if (str_is(kind->text, classes[i]))
            return 0;
    }
    return kind ? FAIL(kind, "class: '%.*s' is not ensure, keyed or never_twice", (int)kind->text.n, kind->text.p) : 0;
}

static int read_answer(struct config *c, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"returns", "ok", "at_most", "no"};
    static const char *const types[] = {"string", "integer", "number", "boolean", "lines", "json", "success"};
    const struct yaml *returns, *no;
    size_t i;

    if (y->type == YAML_BOOL)
        return y->boolean ? 0 : FAIL(y, "read must be true or a map");
    if (y->type != YAML_MAP)
        return FAIL(y, "read must be true or a map like { returns: integer }");
    if (yaml_only_keys(y, c->file, keys, 4, e) < 0)
        return e->code;
    returns = yaml_get(y, "returns");
    no = yaml_get(y, "no");
    if (no && (no->type != YAML_LIST || !returns || !str_is(returns->text, "success")))
        return FAIL(no, "no: exit codes, as a list like [1, 3], of a read that returns success");
    for (i = 0; returns && i < 7; i++) {
        if (str_is(returns->text, types[i]))
            return 0;
    }
    return returns ? FAIL(returns, "returns: '%.*s' is none of string, integer, number, boolean, lines, json, success",
                          (int)returns->text.n, returns->text.p)
                   : 0;
}

/* A text, a number, or { secret: NAME } of a secret that is for this program. */
static int read_handed(struct config *c, const struct yaml *argv, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"secret"};
    const struct secret_source *s;
    size_t i;

    if (y->type == YAML_LIST || y->type == YAML_NULL)
        return FAIL(y, "a text or { secret: NAME } is expected here, not %s", yaml_type_name(y->type));
    if (y->type != YAML_MAP)
        return 0;
    if (yaml_only_keys(y, c->file, keys, 1, e) < 0 || secrets_check_names(c, y, e) < 0)
        return e->code;
    if (y->n == 0)
        return FAIL(y, "a text or { secret: NAME } is expected here");
    s = config_secret(c, y->items[0]->text.p, e);
    for (i = 0; s && s->programs && s->programs[i]; i++) {
        if (str_is(argv->items[0]->text, s->programs[i]))
            return 0;
    }
    FAIL(y, "secret '%s' is not for the program '%s'", y->items[0]->text.p, argv->items[0]->text.p);
    return err_hint(e, "programs: [%s] at the secret allows it", argv->items[0]->text.p);
}

static int read_given(struct config *c, const struct yaml *y, struct err *e)
{
    const struct yaml *argv = yaml_get(y, "argv"), *env = yaml_get(y, "env"), *input = yaml_get(y, "input");
    size_t i;

    if (env && env->type != YAML_MAP)
        return FAIL(env, "env must be a map like { PGPASSWORD: { secret: NAME } }");
    for (i = 0; env && i < env->n; i++) {
        if (read_handed(c, argv, env->items[i], e) < 0)
            return e->code;
    }
    return input ? read_handed(c, argv, input, e) : 0;
}

static int read_command(struct config *c, const struct yaml *key, const struct yaml *y, struct err *e)
{
    static const char *const keys[] = {"argv", "params", "read", "effect", "timeout", "env", "cwd", "input", "script",
                                       "says"};
    const struct yaml *read, *effect, *timeout, *says = yaml_get(y, "says");
    int64_t ms;

    if (strspn(key->text.p, "abcdefghijklmnopqrstuvwxyz0123456789_") != key->text.n || key->text.n == 0)
        return FAIL(key, "'%.*s' is no name for a command (small letters, digits, _)", (int)key->text.n, key->text.p);
    if (y->type != YAML_MAP)
        return FAIL(y, "command '%s' must be a map with argv", key->text.p);
    if (yaml_only_keys(y, c->file, keys, 10, e) < 0 || read_argv(c, key, yaml_get(y, "argv"), e) < 0 ||
        read_given(c, y, e) < 0)
        return e->code;
    if (says && (says->type != YAML_STRING || says->text.n == 0 || says->text.n > 200 ||
                 memchr(says->text.p, '\n', says->text.n)))
        return FAIL(says, "says: what it is, as a text of one line, up to 200 bytes");
    read = yaml_get(y, "read");
    effect = yaml_get(y, "effect");
    timeout = yaml_get(y, "timeout");
    if (!read == !effect)
        return FAIL(y, "command '%s' must be either a read or an effect", key->text.p);
    if (timeout && (timeout->type != YAML_STRING || str_duration_ms(timeout->text, &ms) < 0))
        return FAIL(timeout, "timeout must be a duration like 10s");
    return read ? read_answer(c, read, e) : read_effect(c, effect, e);
}

/* The command that looks whether an effect is there. */
static int find_check(struct config *c, const struct yaml *commands, const struct yaml *command, struct err *e)
{
    const struct yaml *effect = yaml_get(command, "effect"), *check = effect ? yaml_get(effect, "check") : NULL;
    const struct yaml *found = check && check->type == YAML_STRING ? yaml_get(commands, check->text.p) : NULL;

    if (!check || (found && yaml_get(found, "read")))
        return 0;
    return FAIL(check, "check: there is no read '%.*s' among the commands", (int)check->text.n,
                check->text.n ? check->text.p : "");
}

int commands_read_section(struct config *c, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_MAP)
        return FAIL(y, "commands must be a map of names");
    for (i = 0; i < y->n; i++) {
        if (read_command(c, y->keys[i], y->items[i], e) < 0)
            return e->code;
    }
    for (i = 0; i < y->n; i++) {
        if (find_check(c, y, y->items[i], e) < 0)
            return e->code;
    }
    json_decref(c->commands);
    c->commands = yaml_to_json(y);
    return 0;
}
