/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/declaration.h"

#include "base/json.h"
#include "base/str.h"
#include "plugin/schema.h"

#include <stddef.h>
#include <stdio.h>

static const char *const kinds_of_setting[] = {"string", "number", "boolean", "map", "duration", "secret", "auth"};
static const char *const classes[] = {"ensure", "keyed", "never_twice"};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Where in the declaration we are: "effects.scale". */
struct at {
    char path[200];
    struct err *e;
};

static struct at below(const struct at *at, const char *name)
{
    struct at out = {.e = at->e};

    snprintf(out.path, sizeof(out.path), "%.130s%s%.60s", at->path, at->path[0] ? "." : "", name);
    return out;
}

static int wrong(const struct at *at, const char *what, const char *got, const char *const *known, size_t n)
{
    const char *near = got && known ? str_nearest(str_of(got), known, n) : NULL;

    err_set(at->e, ERR_INVALID, "%s%s%s", at->path, at->path[0] ? ": " : "", what);
    if (near)
        err_hint(at->e, "did you mean '%s'?", near);
    return ERR_INVALID;
}

static bool is_one_of(const char *word, const char *const *known, size_t n)
{
    size_t i;

    for (i = 0; i < n && strcmp(word, known[i]) != 0; i++)
        ;
    return i < n;
}

static int only_keys(const struct at *at, const json_t *o, const char *const *known, size_t n)
{
    const char *key;
    char what[100];
    json_t *v;

    if (!json_is_object(o))
        return wrong(at, "must be an object", NULL, NULL, 0);
    json_object_foreach((json_t *)o, key, v) {
        snprintf(what, sizeof(what), "unknown key '%.60s'", key);
        if (!is_one_of(key, known, n))
            return wrong(at, what, key, known, n);
    }
    return 0;
}

static int check_name(const struct at *at, const char *name)
{
    if (name[0] == '\0' || strlen(name) > 60 || (name[0] >= '0' && name[0] <= '9') ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != strlen(name))
        return wrong(at, "is no name (letters, digits, _)", NULL, NULL, 0);
    return 0;
}

static int check_schema(const struct at *at, const json_t *v)
{
    const char *const *types;
    size_t ntypes = schema_types(&types);
    char word[16] = "", what[160];
    bool optional;

    if (!json_is_string(v))
        return wrong(at, "must be a schema like \"integer >= 0\" or \"string?\"", NULL, NULL, 0);
    snprintf(what, sizeof(what), "'%.60s' is no schema like \"integer >= 0\" or \"string?\"", json_string_value(v));
    if (!schema_parse(json_string_value(v), word, &optional) || !is_one_of(word, types, ntypes))
        return wrong(at, what, word, types, ntypes);
    return 0;
}

static int check_params(const struct at *up, const json_t *params)
{
    struct at at = below(up, "params");
    const char *name;
    json_t *v;

    if (params && !json_is_object(params))
        return wrong(&at, "must be an object of schemas", NULL, NULL, 0);
    json_object_foreach((json_t *)params, name, v) {
        struct at here = below(&at, name);

        if (check_name(&here, name) < 0 || check_schema(&here, v) < 0)
            return at.e->code;
    }
    return 0;
}

/* Each of a list is the name of one of `named`; `otherwise`: what is said of one that is not. */
static int check_listed(const struct at *at, const json_t *list, const json_t *named, const char *otherwise)
{
    char what[100];
    json_t *v;
    size_t i;

    json_array_foreach(list, i, v) {
        snprintf(what, sizeof(what), "'%.60s' %s", json_is_string(v) ? json_string_value(v) : "?", otherwise);
        if (!json_is_string(v) || !json_object_get(named, json_string_value(v)))
            return wrong(at, what, NULL, NULL, 0);
    }
    return 0;
}

static int check_args(const struct at *up, const json_t *spec)
{
    const json_t *args = json_object_get(spec, "args");
    struct at at = below(up, "args");

    if (args && !json_is_array(args) && json_object_size(args) > 0)
        return wrong(&at, "must be a list of the params, in their order", NULL, NULL, 0);
    return check_listed(&at, args, json_object_get(spec, "params"), "is not in params");
}

static int check_returns(const struct at *at, const json_t *returns)
{
    const char *name;
    json_t *v;

    if (json_is_string(returns))
        return schema_is_enum(json_string_value(returns)) ? 0 : check_schema(at, returns);
    if (!json_is_object(returns) || json_object_size(returns) == 0)
        return wrong(at, "must be a schema, {field: schema} or {\"list\": schema}", NULL, NULL, 0);
    json_object_foreach((json_t *)returns, name, v) {
        struct at here = below(at, name);

        if (check_returns(&here, v) < 0)
            return at->e->code;
    }
    return 0;
}

/* The fields that are unknown, not nil, where an answer lacks them. */
static int check_known(const struct at *up, const json_t *spec)
{
    const json_t *known = json_object_get(spec, "known"), *record = json_object_get(spec, "returns");
    struct at at = below(up, "known");

    if (json_object_get(record, "list"))
        record = json_object_get(record, "list");
    if (known && !json_is_array(known))
        return wrong(&at, "must be a list of fields that the answer may lack", NULL, NULL, 0);
    return check_listed(&at, known, record, "is no field of the answer");
}

/* The thing that a verb is made on, or NULL. */
static const json_t *thing_of(const json_t *declared, const char *kind)
{
    const char *name;
    json_t *v;

    json_object_foreach(json_object_get(declared, "things"), name, v) {
        if (strcmp(json_get_string(v, "is", ""), kind) == 0)
            return v;
    }
    return NULL;
}

static int check_on(const struct at *up, const json_t *declared, const json_t *spec)
{
    const json_t *on = json_object_get(spec, "on");
    struct at at = below(up, "on");
    char what[100];

    if (!on)
        return 0;
    snprintf(what, sizeof(what), "no thing is a '%.60s'", json_is_string(on) ? json_string_value(on) : "?");
    return json_is_string(on) && thing_of(declared, json_string_value(on)) ? 0 : wrong(&at, what, NULL, NULL, 0);
}

static int check_read(const struct at *at, const json_t *declared, const json_t *spec)
{
    static const char *const keys[] = {"on", "args", "params", "returns", "max_age", "window", "unit", "rest", "named",
                                       "known", "timeout"};
    struct at returns = below(at, "returns");

    if (only_keys(at, spec, keys, COUNT(keys)) < 0 || check_on(at, declared, spec) < 0 ||
        check_params(at, json_object_get(spec, "params")) < 0 || check_args(at, spec) < 0 ||
        check_returns(&returns, json_object_get(spec, "returns")) < 0)
        return at->e->code;
    return check_known(at, spec);
}

static bool names_argument(const json_t *spec, const json_t *thing, const char *name)
{
    return json_object_get(json_object_get(spec, "params"), name) || json_object_get(json_object_get(thing, "params"), name) ||
           json_object_get(json_object_get(thing, "set"), name);
}

/* Every {{name}} of a text is an argument; {{state.name}} is allowed where `state`. */
static int check_names(const struct at *at, const char *text, const json_t *spec, const json_t *thing, bool state)
{
    const char *p = text, *end;
    char name[80], what[140];

    while ((p = strstr(p, "{{")) != NULL) {
        end = strstr(p, "}}");
        if (!end || end - p - 2 >= (ptrdiff_t)sizeof(name))
            return wrong(at, "opens {{ and does not close it", NULL, NULL, 0);
        snprintf(name, sizeof(name), "%.*s", (int)(end - p - 2), p + 2);
        snprintf(what, sizeof(what), "{{%.60s}} is no argument", name);
        if (!(state && strncmp(name, "state.", 6) == 0) && !names_argument(spec, thing, name))
            return wrong(at, what, NULL, NULL, 0);
        p = end + 2;
    }
    return 0;
}

static int check_effect(const struct at *at, const json_t *declared, const json_t *spec)
{
    static const char *const keys[] = {"on", "args", "params", "class", "target", "undo", "irreversible", "timeout", "history",
                                       "named", "has_state", "has_check", "state", "check", "want", "finds"};
    const char *class = json_get_string(spec, "class", ""), *target = json_get_string(spec, "target", "");
    const json_t *thing = thing_of(declared, json_get_string(spec, "on", ""));
    struct at here = below(at, "class");

    if (only_keys(at, spec, keys, COUNT(keys)) < 0 || check_on(at, declared, spec) < 0 ||
        check_params(at, json_object_get(spec, "params")) < 0 || check_args(at, spec) < 0)
        return at->e->code;
    here = below(at, "finds");
    if (json_object_get(spec, "finds") && check_returns(&here, json_object_get(spec, "finds")) < 0)
        return at->e->code;
    here = below(at, "class");
    if (!is_one_of(class, classes, COUNT(classes)))
        return wrong(&here, "must be ensure, keyed or never_twice", class, classes, COUNT(classes));
    if (strcmp(class, "ensure") == 0 && !json_get_bool(spec, "has_state", false) && !json_get_bool(spec, "has_check", false))
        return wrong(&here, "ensure states an end state, so it must be readable: state or check", NULL, NULL, 0);
    here = below(at, "target");
    if (target[0] == '\0' || strlen(target) > 500)
        return wrong(&here, "must be a text like \"deployment/{{name}}\"", NULL, NULL, 0);
    return check_names(&here, target, spec, thing, false);
}

static int check_thing(const struct at *at, const json_t *declared, const json_t *spec)
{
    static const char *const keys[] = {"is", "args", "params", "set"};

    (void)declared;
    if (only_keys(at, spec, keys, COUNT(keys)) < 0 || check_params(at, json_object_get(spec, "params")) < 0 ||
        check_args(at, spec) < 0)
        return at->e->code;
    return json_is_string(json_object_get(spec, "is")) ? 0 : wrong(at, "must say what it is: \"is\"", NULL, NULL, 0);
}

static int check_each(const struct at *top, const json_t *declared, const char *section,
                      int (*check)(const struct at *at, const json_t *declared, const json_t *spec))
{
    const json_t *all = json_object_get(declared, section);
    struct at at = below(top, section);
    const char *name;
    json_t *spec;

    if (all && !json_is_object(all) && json_array_size(all) > 0)
        return wrong(&at, "must be an object", NULL, NULL, 0);
    if (!json_is_object(all))
        return 0;
    json_object_foreach((json_t *)all, name, spec) {
        struct at here = below(&at, name);

        if (check_name(&here, name) < 0 || check(&here, declared, spec) < 0)
            return at.e->code;
    }
    return 0;
}

static int check_kind_of_setting(const struct at *at, const json_t *declared, const json_t *v)
{
    (void)declared;
    if (json_is_string(v) && is_one_of(json_string_value(v), kinds_of_setting, COUNT(kinds_of_setting)))
        return 0;
    return wrong(at, "must be string, number, boolean, map, duration or secret", json_string_value(v), kinds_of_setting,
                 COUNT(kinds_of_setting));
}

/* Whether `says` or `means` may speak of it: of a thing or verb; of a field or argument, also "verb.field". */
static bool is_known_word(const json_t *declared, const char *section, const char *name)
{
    static const char *const of[] = {"things", "reads", "effects"};
    const char *dot = strchr(name, '.');
    char verb[64];
    size_t i;

    if (!dot && strcmp(section, "means") == 0)
        return true;
    snprintf(verb, sizeof(verb), "%.*s", dot ? (int)(dot - name) : 60, name);
    for (i = 0; i < COUNT(of); i++) {
        if (json_object_get(json_object_get(declared, of[i]), verb))
            return true;
    }
    return false;
}

static bool is_one_line(const char *s)
{
    size_t n = strlen(s), i = 0;

    while (i < n && (unsigned char)s[i] >= ' ' && s[i] != 127)
        i++;
    return n > 0 && n <= 200 && i == n;
}

static int check_words(const struct at *up, const json_t *declared, const char *section)
{
    const json_t *words = json_object_get(declared, section);
    struct at at = below(up, section);
    const char *name;
    json_t *v;

    if (words && !json_is_object(words) && !(json_is_array(words) && json_array_size(words) == 0))
        return wrong(&at, "must be an object of texts", NULL, NULL, 0);
    if (!json_is_object(words))
        return 0;
    json_object_foreach((json_t *)words, name, v) {
        struct at here = below(&at, name);

        if (!is_known_word(declared, section, name))
            return wrong(&here, "there is no such thing, read or effect", NULL, NULL, 0);
        if (!json_is_string(v) || !is_one_line(json_string_value(v)))
            return wrong(&here, "must be a text of one line, up to 200 bytes", NULL, NULL, 0);
    }
    return 0;
}

int declaration_check(const json_t *declared, struct err *e)
{
    static const char *const keys[] = {"abi", "name", "settings", "things", "reads", "effects", "plan", "has_probe",
                                       "has_permitted", "says", "means"};
    struct at top = {.e = e};

    if (only_keys(&top, declared, keys, COUNT(keys)) < 0 ||
        check_each(&top, declared, "settings", check_kind_of_setting) < 0 ||
        check_each(&top, declared, "things", check_thing) < 0 || check_each(&top, declared, "reads", check_read) < 0 ||
        check_each(&top, declared, "effects", check_effect) < 0 || check_words(&top, declared, "says") < 0)
        return e->code;
    return check_words(&top, declared, "means");
}

/* The texts of a template, each with its names. */
static int check_want(const struct at *at, const json_t *want, const json_t *spec, const json_t *thing)
{
    const char *name;
    json_t *v;

    if (json_is_string(want))
        return check_names(at, json_string_value(want), spec, thing, true);
    json_object_foreach((json_t *)want, name, v) {
        struct at here = below(at, name);

        if (check_want(&here, v, spec, thing) < 0)
            return at->e->code;
    }
    return 0;
}

static int finish_effect(const struct at *at, const json_t *declared, json_t *spec)
{
    const json_t *want = json_object_get(spec, "want");
    struct at here = below(at, "want");

    json_object_set_new(spec, "has_state", json_boolean(json_get_bool(spec, "state", true)));
    json_object_set_new(spec, "has_check", json_boolean(json_get_bool(spec, "check", false)));
    if (check_on(at, declared, spec) < 0)
        return at->e->code;
    if (json_is_string(want) && strcmp(json_string_value(want), "args") == 0)
        return 0;
    if (!json_is_object(want) || json_object_size(want) == 0)
        return wrong(&here, "must be \"args\" or an object like {\"replicas\": \"{{replicas}}\"}", NULL, NULL, 0);
    return check_want(&here, want, spec, thing_of(declared, json_get_string(spec, "on", "")));
}

int declaration_of_process(json_t *declared, const char *plugin, struct err *e)
{
    struct at top = {.e = e}, at = below(&top, "effects");
    const char *name = json_get_string(declared, "name", "");
    json_t *spec, *effects = json_object_get(declared, "effects");

    if (!json_is_object(declared))
        return err_set(e, ERR_INVALID, "the declaration is no JSON object");
    if (json_get_int(declared, "abi", 0) != PLUGIN_ABI)
        return err_set(e, ERR_INVALID, "abi: this program speaks abi %d, the plugin %lld", PLUGIN_ABI,
                       (long long)json_get_int(declared, "abi", 0));
    if (strcmp(name, plugin) != 0)
        return err_set(e, ERR_INVALID, "name: it calls itself '%.60s' but is '%.60s'", name, plugin);
    json_object_foreach(effects, name, spec) {
        struct at here = below(&at, name);

        if (!json_is_object(spec))
            return wrong(&here, "must be an object", NULL, NULL, 0);
        if (finish_effect(&here, declared, spec) < 0)
            return e->code;
    }
    if (json_object_get(declared, "plan") && !json_is_boolean(json_object_get(declared, "plan")))
        return err_set(e, ERR_INVALID, "plan: must be true or false");
    if (!json_object_get(declared, "plan"))
        json_object_set_new(declared, "plan", json_false());
    if (!json_object_get(declared, "things"))
        json_object_set_new(declared, "things", json_object());
    if (!json_object_get(declared, "reads"))
        json_object_set_new(declared, "reads", json_object());
    if (!effects)
        json_object_set_new(declared, "effects", json_object());
    json_object_set_new(declared, "has_probe", json_true());
    return declaration_check(declared, e);
}

static bool setting_is(const char *kind, const json_t *v)
{
    int64_t ms;

    if (strcmp(kind, "number") == 0)
        return json_is_number(v);
    if (strcmp(kind, "boolean") == 0)
        return json_is_boolean(v);
    if (strcmp(kind, "map") == 0)
        return json_is_object(v);
    if (strcmp(kind, "duration") == 0)
        return json_is_string(v) && str_duration_ms(str_of(json_string_value(v)), &ms) == 0;
    return json_is_string(v);
}

int declaration_settings(const json_t *declared, const json_t *settings, char setting[64], struct err *e)
{
    const json_t *known = json_object_get(declared, "settings");
    const char *key, *kind, *near, *names[64];
    size_t n = 0;
    json_t *v;

    json_object_foreach((json_t *)known, key, v) {
        if (n < COUNT(names))
            names[n++] = key;
    }
    json_object_foreach((json_t *)settings, key, v) {
        kind = json_get_string(known, key, NULL);
        snprintf(setting, 64, "%.63s", key);
        if (!kind) {
            near = str_nearest(str_of(key), names, n);
            err_set(e, ERR_INVALID, "%s has no setting '%.60s'", json_get_string(declared, "name", "?"), key);
            return near ? err_hint(e, "did you mean '%s'?", near) : e->code;
        }
        if (!setting_is(kind, v))
            return err_set(e, ERR_INVALID, "%.60s: must be %s", key, strcmp(kind, "secret") == 0 ? "the name of a secret" : kind);
    }
    setting[0] = '\0';
    return 0;
}
