/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of the command line hold together: what is parsed is what usage says. */
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_verbs(void **state)
{
    size_t i, k, n;
    const struct verb *v = cli_verbs(&n);

    (void)state;
    for (i = 0; i < n; i++) {
        assert_non_null(v[i].exec);
        assert_non_null(v[i].more);
        assert_true(strlen(v[i].summary) > 10 && strlen(v[i].summary) < 70);
        assert_ptr_equal(cli_find_verb(v[i].name), &v[i]);
        for (k = 0; k < i; k++)
            assert_string_not_equal(v[k].name, v[i].name);
        /* Help prints a title where the group changes: a group is in one piece. */
        assert_true(i == 0 || v[i].group >= v[i - 1].group);
        assert_true(strlen(cli_group_title(v[i].group)) > 0);
    }
}

/* How many arguments usage wants and allows, options aside; `most` grows without bound at "...". */
static void count(const char *usage, size_t *least, size_t *most)
{
    const char *s = usage;

    *least = *most = 0;
    while (*(s += strspn(s, " "))) {
        size_t n = strcspn(s, " ");
        bool optional = *s == '[';

        if (strncmp(s, "[-", 2) == 0) {
            s = strchr(s, ']') + 1;
            s += strspn(s, ".");
            continue;
        }
        if (*s == '|')
            return;
        *least += !optional;
        *most += strncmp(s + n - 3, "...", 3) == 0 ? 1000 : 1;
        s += n;
    }
}

static void test_usage(void **state)
{
    size_t i, n, least, most;
    const struct verb *v = cli_verbs(&n);

    (void)state;
    for (i = 0; i < n; i++) {
        count(v[i].usage, &least, &most);
        if (v[i].group == GROUP_HIDDEN)
            continue;
        assert_int_equal(v[i].min_args, least);
        assert_true(most >= 1000 ? v[i].max_args > least : v[i].max_args == most);
    }
}

/* Every option that usage names is taken, and no verb has two of one name. */
static void test_options(void **state)
{
    size_t i, k, m, n, noptions;
    const struct verb *v = cli_verbs(&n);
    const struct option *o = cli_options(&noptions);
    const char *s;

    (void)state;
    for (i = 0; i < n; i++) {
        for (s = strchr(v[i].usage, '-'); s; s = strstr(s + 1, "[-") ? strstr(s + 1, "[-") + 1 : NULL)
            assert_non_null(cli_find_option(&v[i], s, strcspn(s, " ]")));
        for (k = 0; k < noptions; k++) {
            for (m = 0; m < k; m++)
                assert_false((v[i].flags & o[k].flag) && (v[i].flags & o[m].flag) && strcmp(o[k].name, o[m].name) == 0);
        }
    }
}

static void test_parse(void **state)
{
    const struct verb *run = cli_find_verb("run"), *new = cli_find_verb("new"), *halt = cli_find_verb("halt");
    char *good[] = {"midwatch", "run", "-p", "a=1", "x", "--state=d", "-p", "b==2", "-o", "json"};
    char *after[] = {"midwatch", "run", "--", "-p"};
    char *help[] = {"midwatch", "run", "x", "--help"};
    char *uses[] = {"midwatch", "new", "--uses", "a", "n", "--uses=b", "--luacats"};
    char *lacks[] = {"midwatch", "run", "x", "-p"}, *none[] = {"midwatch", "halt", "--release=yes"};
    char *form[] = {"midwatch", "run", "x", "-o", "yaml"}, *foreign[] = {"midwatch", "halt", "--alert", "f"};
    struct cli c = {0};

    (void)state;
    assert_int_equal(cli_parse(&c, run, 10, good), 0);
    assert_string_equal(c.args[0], "x");
    assert_string_equal(c.state_option, "d");
    assert_int_equal(c.nparams, 2);
    assert_string_equal(c.params[1], "b==2");
    assert_true(c.json);
    c = (struct cli){0};
    assert_int_equal(cli_parse(&c, run, 4, after), 0);
    assert_string_equal(c.args[0], "-p");
    c = (struct cli){0};
    assert_int_equal(cli_parse(&c, run, 4, help), -1);
    assert_string_equal(c.args[0], "run");
    c = (struct cli){0};
    assert_int_equal(cli_parse(&c, new, 7, uses), 0);
    assert_int_equal(c.nuses, 2);
    assert_string_equal(c.uses[1], "b");
    assert_true(c.luacats);
    c = (struct cli){0};
    assert_int_equal(cli_parse(&c, run, 4, lacks), EXIT_USAGE);
    assert_int_equal(cli_parse(&c, halt, 3, none), EXIT_USAGE);
    c = (struct cli){0};
    assert_int_equal(cli_parse(&c, run, 5, form), EXIT_USAGE);
    c = (struct cli){0};
    assert_int_equal(cli_parse(&c, halt, 4, foreign), EXIT_USAGE);
}

/* No line of the page is a request that is none, and every verb has its entry. */
static void test_man(void **state)
{
    struct buf b = {.max = 1 << 20};
    size_t i, n;
    const struct verb *v = cli_verbs(&n);
    char entry[80];

    (void)state;
    cli_man(&b);
    assert_false(b.failed);
    for (i = 0; i < n; i++) {
        snprintf(entry, sizeof(entry), "\n.It Cm \"%s\"", v[i].name);
        assert_true((strstr(buf_text(&b), entry) != NULL) == (v[i].group != GROUP_HIDDEN));
    }
    assert_null(strstr(buf_text(&b), "\n'"));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verbs), cmocka_unit_test(test_usage), cmocka_unit_test(test_options),
        cmocka_unit_test(test_parse), cmocka_unit_test(test_man),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
