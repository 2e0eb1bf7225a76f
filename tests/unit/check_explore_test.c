/* SPDX-License-Identifier: Apache-2.0 */
/* The explorer as plan uses it: what somebody knows of a call is the answer, what nobody knows is a symbol. */
#include "base/json.h"
#include "check/explore.h"
#include "io/host_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char text[] = "---\nrunbook: t\nsummary: a test\nuses: { prometheus: prometheus }\n---\n# T\n\n```lua\n"
                           "local o = observe { a = prometheus.value('a'), b = prometheus.value('b') }\n"
                           "if o.a > 5 then escalate 'a' end\n"
                           "if o.b > 5 then escalate 'b' end\n"
                           "sleep '1m'\n"
                           "if observe(prometheus.value('c')) > 5 then escalate 'c' end\n"
                           "resolve 'x'\n```\n";

struct asked {
    size_t reads, waited;
    char path[64];
};

static int answer(void *ctx, const struct explore_call *c, struct buf *out, struct err *e)
{
    struct asked *a = ctx;

    (void)e;
    if (!str_is(c->op, "read"))
        return 0;
    a->reads++;
    a->waited += c->waited_ms == 60000;
    if (str_is(c->label, "a")) {
        snprintf(a->path, sizeof(a->path), "%.*s", (int)c->path.n, c->path.p);
        buf_adds(out, "{\"o\":{\"value\":3},\"row\":1}");
        return 1;
    }
    if (str_is(c->label, "b")) {
        buf_adds(out, "{\"o\":{\"unknown\":\"no_data\"},\"row\":2}");
        return 1;
    }
    return 0;
}

static int refuse(void *ctx, const struct explore_call *c, struct buf *out, struct err *e)
{
    (void)ctx, (void)c, (void)out;
    return err_set(e, ERR_DENIED, "nobody may look");
}

static int run(const char *source, int (*fn)(void *, const struct explore_call *, struct buf *, struct err *), void *ctx,
               json_t **map, struct err *e)
{
    struct host_sim_options ho = {.seed = 1};
    struct registry_options ro = {.sealed = true};
    struct explore_options o = {.answer = fn, .ctx = ctx};
    struct runbook *book = NULL;
    struct host *host = NULL;
    int rc;

    assert_int_equal(host_sim_new(&ho, &host, e), 0);
    ro.host = host;
    assert_int_equal(registry_new(&ro, &o.registry, e), 0);
    assert_int_equal(book_read(str_of(source), "t.md", &book, e), 0);
    o.book = book;
    rc = explore(&o, map, e);
    book_free(book);
    registry_free(o.registry);
    host->ops->free(host);
    return rc;
}

static void answers_what_is_known(void **state)
{
    struct asked a = {0};
    struct err e = {0};
    json_t *map = NULL, *paths;

    (void)state;
    assert_int_equal(run(text, answer, &a, &map, &e), 0);
    paths = json_object_get(map, "paths");
    assert_int_equal(json_array_size(paths), 1);
    assert_string_equal(json_get_string(json_array_get(paths, 0), "reason", ""), "no_data");
    assert_string_equal(a.path, "1.a");
    json_decref(map);
}

static void symbols_for_the_rest(void **state)
{
    char *known = strdup(text), *line = strstr(known, "if o.b");
    struct asked a = {0};
    struct err e = {0};
    json_t *map = NULL;

    (void)state;
    memset(line, ' ', strcspn(line, "\n"));
    assert_int_equal(run(known, answer, &a, &map, &e), 0);
    assert_int_equal(json_array_size(json_object_get(map, "paths")), 3);
    assert_true(a.waited >= 3);
    json_decref(map);
    free(known);
}

static void an_error_ends_it(void **state)
{
    struct err e = {0};
    json_t *map = NULL;

    (void)state;
    assert_int_equal(run(text, refuse, NULL, &map, &e), ERR_DENIED);
    assert_null(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_what_is_known),
        cmocka_unit_test(symbols_for_the_rest),
        cmocka_unit_test(an_error_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
