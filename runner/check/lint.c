/* SPDX-License-Identifier: Apache-2.0 */
/* Lint without a Lua parser: the front matter's schema, Lua's own compiler, the names
 * that plugins declare, and two rules that a scan of words can hold. What it cannot
 * see (a misspelt local, a method on a computed value) the run reports. */
#include "check/check.h"

#include "base/json.h"
#include "base/limits.h"
#include "book/lua_words.h"
#include "io/host_sim.h"
#include "plugin/plugin.h"
#include "vm/vm.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

struct lint {
    const struct runbook *book;
    const char *file;       /* of the text that is being looked at */
    struct registry *registry;
    bool configured;        /* the operator says what instances there are; else an alias is a plugin's name */
    struct buf *out;
    size_t n;
    char *code;             /* that text with comments and strings blanked */
};

__attribute__((format(printf, 4, 5))) static void found(struct lint *l, int line, int column, const char *fmt, ...)
{
    va_list ap;

    buf_addf(l->out, "%s:%d:%d: ", l->file, line, column);
    va_start(ap, fmt);
    buf_addv(l->out, fmt, ap);
    va_end(ap);
    buf_addc(l->out, '\n');
    l->n++;
}

static void found_err(struct lint *l, const struct err *e)
{
    char text[1400];

    buf_addf(l->out, "%s\n", err_text(e, text, sizeof(text)));
    l->n++;
}

static void blank(char *s, size_t n)
{
    for (; n > 0; n--, s++) {
        if (*s != '\n')
            *s = ' ';
    }
}

/* Blanks comments and strings, keeps lines. */
static void strip(char *s, size_t n)
{
    while (n > 0) {
        size_t skip = lua_skip(s, n);

        blank(s, skip);
        skip += skip == 0;
        s += skip;
        n -= skip;
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static int line_at(const struct lint *l, const char *at, int *column)
{
    const char *p = l->code, *start = l->code;
    int line = 1;

    for (; p < at; p++) {
        if (*p == '\n') {
            line++;
            start = p + 1;
        }
    }
    *column = (int)(at - start) + 1;
    return line;
}

static bool declares(const json_t *declared, const char *name)
{
    return json_object_get(json_object_get(declared, "reads"), name) ||
           json_object_get(json_object_get(declared, "effects"), name) ||
           json_object_get(json_object_get(declared, "things"), name);
}

static const char *nearest_of(const json_t *declared, const char *name, const char *const *sections, size_t n)
{
    const char *names[256], *key;
    size_t k = 0, i;
    json_t *v;

    for (i = 0; i < n; i++) {
        json_object_foreach(json_object_get(declared, sections[i]), key, v) {
            if (k < 256)
                names[k++] = key;
        }
    }
    return str_nearest(str_of(name), names, k);
}

/* alias.word: a read, effect or thing that the plugin does not have. */
static void check_alias(struct lint *l, const char *alias, const json_t *declared)
{
    static const char *const sections[] = {"reads", "effects", "things"};
    size_t n = strlen(alias);
    const char *p = l->code, *near;
    char word[128];

    while ((p = strstr(p, alias)) != NULL) {
        const char *q = p + n;
        size_t len = 0;
        int column, line;

        if ((p > l->code && (is_word(p[-1]) || p[-1] == '.' || p[-1] == ':')) || *q != '.' || q[1] == '.') {
            p += n;
            continue;
        }
        q++;
        while (is_word(q[len]) && len < sizeof(word) - 1)
            len++;
        snprintf(word, sizeof(word), "%.*s", (int)len, q);
        if (len && !declares(declared, word)) {
            near = nearest_of(declared, word, sections, 3);
            line = line_at(l, q, &column);
            found(l, line, column, "%s has no '%s'%s%s%s", alias, word, near ? " (did you mean '" : "", near ? near : "",
                  near ? "'?)" : "");
        }
        p = q + len;
    }
}

/* What the code asks of each alias. */
static void check_names(struct lint *l)
{
    size_t i;

    for (i = 0; i < l->book->nuses; i++) {
        const struct use *u = &l->book->uses[i];
        const json_t *declared;
        struct err e = {0};

        if (!strchr(u->instance, '{') &&
            registry_describe(l->registry, u->instance, l->configured ? NULL : u->alias, &declared, &e) == 0)
            check_alias(l, u->alias, declared);
    }
}

static void check_uses(struct lint *l)
{
    size_t i;

    for (i = 0; i < l->book->nuses; i++) {
        const struct use *u = &l->book->uses[i];
        const json_t *declared;
        struct err e = {0};

        if (!strchr(u->instance, '{') &&
            registry_describe(l->registry, u->instance, l->configured ? NULL : u->alias, &declared, &e) < 0)
            found(l, u->line, u->column, "uses: %s%s%s%s", e.msg, e.hint[0] ? " (" : "", e.hint, e.hint[0] ? ")" : "");
    }
}

static void check_may_entry(struct lint *l, const struct may *m)
{
    static const char *const sections[] = {"effects"};
    const char *verb = strchr(m->effect, '.') + 1, *near;
    const json_t *declared, *effect;
    struct err e = {0};
    size_t i, k;

    for (i = 0; i < l->book->nuses; i++) {
        const struct use *u = &l->book->uses[i];

        if (strlen(u->alias) != (size_t)(verb - m->effect - 1) || strncmp(u->alias, m->effect, strlen(u->alias)) != 0 ||
            strchr(u->instance, '{') ||
            registry_describe(l->registry, u->instance, l->configured ? NULL : u->alias, &declared, &e) < 0)
            continue;
        effect = json_object_get(json_object_get(declared, "effects"), verb);
        if (!effect) {
            near = nearest_of(declared, verb, sections, 1);
            found(l, m->line, m->column, "may: %s has no effect '%s'%s%s%s", u->alias, verb, near ? " (did you mean '" : "",
                  near ? near : "", near ? "'?)" : "");
        }
        for (k = 0; effect && k < m->nbounds; k++) {
            if (!json_object_get(json_object_get(effect, "params"), m->bounds[k].arg))
                found(l, m->line, m->column, "may: %s has no argument '%s'", m->effect, m->bounds[k].arg);
        }
    }
}

static bool ends(const char *line)
{
    static const char *const endings[] = {"resolve", "no_action", "refuse", "escalate"};
    size_t i, n;

    for (i = 0; i < 4; i++) {
        n = strlen(endings[i]);
        if (strncmp(line, endings[i], n) == 0 && !is_word(line[n]))
            return true;
    }
    return false;
}

/* Words that open a block minus words that close one. */
static int depth_of(const char *line)
{
    static const char *const open[] = {"then", "do", "function", "repeat"}, *const close[] = {"end", "until", "elseif"};
    int depth = 0;
    size_t i, n;

    while (*line) {
        if (!is_word(*line)) {
            line++;
            continue;
        }
        for (n = 0; is_word(line[n]);)
            n++;
        for (i = 0; i < 4; i++)
            depth += strlen(open[i]) == n && strncmp(line, open[i], n) == 0;
        for (i = 0; i < 3; i++)
            depth -= strlen(close[i]) == n && strncmp(line, close[i], n) == 0;
        line += n;
    }
    return depth;
}

/* An ending at the top level, and code behind it. */
static void check_endings(struct lint *l)
{
    char *copy = xstrdup(l->code), *line, *rest = copy;
    int number = 0, depth = 0, ended = 0;

    while ((line = strsep(&rest, "\n")) != NULL) {
        number++;
        if (line[strspn(line, " \t")] == '\0')
            continue;
        if (ended) {
            found(l, number, 1, "this is never reached: the run has ended in line %d", ended);
            break;
        }
        if (depth == 0 && ends(line))
            ended = number;
        depth += depth_of(line);
    }
    free(copy);
}

/* One text of Lua: the runbook's chunk, or a module. */
static void check_code(struct lint *l, const char *file, struct str code)
{
    struct vm_options o = {.seed = 1};
    struct vm *vm;
    struct err e = {0};

    if (vm_new(&o, &vm, &e) < 0 || vm_check_chunk(vm, file, code, &e) < 0)
        found_err(l, &e);
    vm_free(vm);
    l->file = file;
    free(l->code);
    l->code = xstrndup(code.p, code.n);
    strip(l->code, code.n);
    check_names(l);
}

/* Not a finding: a runbook is right without a route. */
static void say_routes(struct lint *l, const struct config *c)
{
    size_t i;

    for (i = 0; c && i < c->nroutes; i++) {
        const struct route *r = &c->routes[i];

        if (r->kind == ROUTE_OFFERED ? l->book->ntriggers && r == config_accepts(c, l->book->name)
                                     : strcmp(r->runbook, l->book->name) == 0)
            buf_addf(l->out, "%s: would be started by the route in %s:%d\n", l->book->file, c->file, r->line);
    }
}

static void check_book(struct lint *l)
{
    const struct runbook *b = l->book;
    size_t i;

    l->file = b->file;
    check_uses(l);
    for (i = 0; i < b->nmay; i++)
        check_may_entry(l, &b->may[i]);
    for (i = 0; i < b->nmodules; i++)
        check_code(l, b->modules[i].path, (struct str){b->modules[i].text, b->modules[i].len});
    check_code(l, b->file, (struct str){b->chunk, b->chunk_len});
    check_endings(l);
    free(l->code);
}

size_t lint_runbook(struct source *source, const char *name, struct config *config, struct buf *out)
{
    struct host_sim_options ho = {.seed = 1, .real_files = true};
    struct registry_options ro = {.sealed = true, .config = config};
    struct lint l = {.configured = config && config->file, .out = out};
    struct runbook *book = NULL;
    struct host *host = NULL;
    struct err e = {0};

    if (host_sim_new(&ho, &host, &e) == 0) {
        ro.host = host;
        if (registry_new(&ro, &l.registry, &e) == 0 && source_load(source, name, &book, &e) == 0) {
            l.book = book;
            say_routes(&l, config);
            check_book(&l);
        }
    }
    if (e.code)
        found_err(&l, &e);
    book_free(book);
    registry_free(l.registry);
    if (host)
        host->ops->free(host);
    return l.n;
}
