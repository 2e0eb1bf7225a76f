/* SPDX-License-Identifier: Apache-2.0 */
/* Code is what a reader of the page sees as a block tagged lua; every other line is
 * blank in the chunk, and none is lost. */
#include "book_test.h"

static char *with_front(const char *body)
{
    struct buf b = BUF_INIT(MIB);

    buf_addf(&b, FRONT "%s", body);
    return buf_take(&b, NULL);
}

/* The chunk as "line:code" for every line that is not blank. */
static void assert_code(const char *body, const char *want)
{
    char *text = with_front(body);
    struct runbook *b = read_good(str_of(text));
    struct buf got = BUF_INIT(MIB);
    size_t i, from = 0, chunk_lines = 0, text_lines = 0;

    for (i = 0; i < b->text_len; i++)
        text_lines += b->text[i] == '\n';
    for (i = 0; i <= b->chunk_len; i++) {
        if (i < b->chunk_len && b->chunk[i] != '\n')
            continue;
        chunk_lines++;
        if (i > from)
            buf_addf(&got, "%zu:%.*s|", chunk_lines, (int)(i - from), b->chunk + from);
        from = i + 1;
    }
    if (strcmp(buf_text(&got), want) != 0)
        fail_msg("%s\ngives %s\ninstead of %s", body, buf_text(&got), want);
    assert_int_equal(chunk_lines - 1, text_lines);
    buf_free(&got);
    book_free(b);
    free(text);
}

static void assert_bad(const char *body, const char *where, const char *says)
{
    char *text = with_front(body);

    assert_refused(str_of(text), where, says);
    free(text);
}

static void test_blocks_are_one_chunk_on_their_lines(void **state)
{
    (void)state;
    assert_code("# T\n\nwords\n\n```lua\nlocal a = 1\n```\n\nmore words\n\n```lua\nresolve(a)\n```\n",
                "10:local a = 1|16:resolve(a)|");
    assert_code("```lua\na = 1\n\n\nb = 2\n```\n", "6:a = 1|9:b = 2|");
    assert_code("```lua\na()\n```", "6:a()|");
    assert_code("```lua\n```\n\n```lua\nb()\n```\n", "9:b()|");
    assert_code("```lua\n\ta()  \n```\n", "6:\ta()  |");
    assert_code("```lua\nlocal s = [[\n  \n\tx\n]]\n```\n", "6:local s = [[|7:  |8:\tx|9:]]|");
    assert_code("```lua\n-- <!-- not a comment -->\na(\"&amp;\", '\\n') -- \xc3\xa4\n```\n",
                "6:-- <!-- not a comment -->|7:a(\"&amp;\", '\\n') -- \xc3\xa4|");
}

static void test_the_tag_is_exactly_lua(void **state)
{
    (void)state;
    assert_code("```\nno()\n```\n```lua5\nno()\n```\n```Lua\nno()\n```\n```lua title\nno()\n```\n```luas\nno()\n```\n"
                "```{lua}\nno()\n```\n```sh\nno\n```\n```lua  \nyes()\n```\n", "27:yes()|");
    assert_code("``` lua\na()\n```\n", "6:a()|");
    assert_bad("```Lua\nno()\n```\n", "t.md:5:1", "no ```lua block");
    assert_bad("words\n", "t.md:5:1", "no ```lua block");
    assert_bad("", "t.md:5:1", "no ```lua block");
    assert_bad("lua\n\n    a()\n", "t.md:5:1", "no ```lua block");
}

static void test_fences_of_all_kinds(void **state)
{
    (void)state;
    assert_code("~~~lua\na()\n~~~\n", "6:a()|");
    assert_code("~~~lua\na()\n```\nb()\n~~~\n", "6:a()|7:```|8:b()|");
    assert_code("````lua\na = [[\n```\n]]\n````\n", "6:a = [[|7:```|8:]]|");
    assert_code("````md\n```lua\nno()\n```\n````\n\n```lua\na()\n```\n", "12:a()|");
    assert_code("   ```lua\n   a()\n   ```\n", "6:   a()|");
    assert_code("    ```lua\n    no()\n    ```\n\n```lua\na()\n```\n", "10:a()|");
    assert_code("```lua\na()\n    ```\nb()\n```\n", "6:a()|7:    ```|8:b()|");
    assert_code("```lua\na()\n``````\n", "6:a()|");
}

static void test_what_a_reader_does_not_see_is_not_code(void **state)
{
    (void)state;
    assert_code("<!--\n```lua\nno()\n```\n-->\n\n```lua\na()\n```\n", "12:a()|");
    assert_code("<!-- ```lua -->\n\n```lua\na()\n```\n", "8:a()|");
    assert_code("<!--\n```\n-->\n\n```lua\na()\n```\n", "10:a()|");
    assert_code("```lua\na()\n```\n\n<!--\n```\n-->\n", "6:a()|");
    assert_code("<div>\n```lua\nno()\n```\n</div>\n\n```lua\na()\n```\n", "12:a()|");
    assert_code("<pre>\n\n```lua\nno()\n```\n\n</pre>\n\n```lua\na()\n```\n", "14:a()|");
    assert_code("text `code` and ```lua inline``` text\n\n```lua\na()\n```\n", "8:a()|");
    assert_code("```sh\n<!--\n```\n\n```lua\na()\n```\n\n-->\n", "10:a()|");
    assert_bad("<!--\n```lua\nno()\n```\n", "t.md:5:1", "no ```lua block");
}

static void test_nested_blocks_are_refused(void **state)
{
    (void)state;
    assert_bad("- item\n\n  ```lua\n  a()\n  ```\n", "t.md:7:1", "inside a quote or a list");
    assert_bad("1. item\n   ```lua\n   a()\n   ```\n", "t.md:6:1", "inside a quote or a list");
    assert_bad("> ```lua\n> a()\n> ```\n", "t.md:5:1", "inside a quote or a list");
    assert_code("- item\n\n```lua\na()\n```\n", "8:a()|");
    assert_code("- ```sh\n  ls\n  ```\n\n```lua\na()\n```\n", "10:a()|");
}

static void test_a_block_without_end(void **state)
{
    (void)state;
    assert_bad("```lua\na()\n", "t.md:5:1", "never closed");
    assert_bad("```lua\na()", "t.md:5:1", "never closed");
    assert_bad("```lua\na()\n```\n\n~~~sh\nls\n```\n", "t.md:9:1", "never closed");
    assert_bad("```lua\na()\n```\n\n```\n", "t.md:9:1", "never closed");
    assert_bad("```lua\na()\n```\n\n```\n\n\n", "t.md:9:1", "never closed");
    assert_bad("````lua\na()\n```\n", "t.md:5:1", "never closed");
    assert_bad("```lua\na()\n``` lua\n", "t.md:5:1", "never closed");
    assert_bad("```lua\na()\n    ```\n", "t.md:5:1", "never closed");
    assert_code("```lua\na()\n```\n\n> ```\n> quoted\n\nafter\n", "6:a()|");
    assert_code("```lua\na()\n```\n\n    ```\n", "6:a()|");
    assert_code("```lua\na()\n```\n\n```sh```\n", "6:a()|");
}

static void test_files_that_are_no_text(void **state)
{
    (void)state;
    assert_refused(STR("\xef\xbb\xbf" FRONT "```lua\na()\n```\n"), "t.md:1:1", "byte order mark");
    assert_refused(STR(FRONT "```lua\r\na()\r\n```\r\n"), "t.md:5", "CR LF");
    assert_refused(STR("---\r\nrunbook: t\r\n---\r\n"), "t.md:1", "CR LF");
    assert_refused(STR(FRONT "```lua\na('\xff')\n```\n"), "t.md", "not UTF-8");
    assert_refused(STR(FRONT "```lua\na('\0')\n```\n"), "t.md", "not UTF-8");
    assert_refused(STR(FRONT "```lua\na('\xed\xa0\x80')\n```\n"), "t.md", "not UTF-8");
    assert_refused(STR(""), "t.md:1:1", "front matter");
    assert_refused(STR("# T\n"), "t.md:1:1", "does not begin with its front matter");
    assert_refused(STR("\n" FRONT "```lua\na()\n```\n"), "t.md:1:1", "does not begin with its front matter");
    assert_refused(STR("---\nrunbook: t\n```lua\na()\n```\n"), "t.md:1:1", "never closed with ---");
    assert_refused(STR("---\nrunbook: t\n----\n```lua\na()\n```\n"), "t.md:1:1", "never closed with ---");
}

static void test_a_file_has_a_largest_size(void **state)
{
    size_t n = RUNBOOK_BYTES_MAX + 1;
    char *text = xmalloc(n);
    struct runbook *b = NULL;
    struct err e = {0};

    (void)state;
    memset(text, ' ', n);
    memcpy(text, FRONT "```lua\na()\n```\n", sizeof(FRONT "```lua\na()\n```\n") - 1);
    assert_int_equal(book_read((struct str){text, n}, "t.md", &b, &e), ERR_LIMIT);
    assert_int_equal(book_read((struct str){text, n - 1}, "t.md", &b, &e), 0);
    book_free(b);
    free(text);
}

static void test_headings_name_the_sections(void **state)
{
    char *text = with_front("# High latency\n\n## Symptoms\nwords\n\nMeaning\n-------\n\n<!--\n## Hidden\n-->\n\n```sh\n# not\n```\n"
                            "\n### Diagnosis & *more*\n```lua\na()\n```\n");
    struct runbook *b = read_good(str_of(text));

    (void)state;
    assert_int_equal(b->nsections, 4);
    assert_string_equal(b->sections[0].title, "High latency");
    assert_int_equal(b->sections[0].line, 5);
    assert_int_equal(b->sections[0].level, 1);
    assert_string_equal(b->sections[2].title, "Meaning");
    assert_int_equal(b->sections[2].line, 10);
    assert_string_equal(b->sections[3].title, "Diagnosis & more");
    assert_int_equal(b->sections[3].level, 3);
    assert_string_equal(book_section(b, 1), "");
    assert_string_equal(book_section(b, 5), "High latency");
    assert_string_equal(book_section(b, 9), "Symptoms");
    assert_string_equal(book_section(b, 23), "Diagnosis & more");
    assert_string_equal(book_section(b, 9999), "Diagnosis & more");
    book_free(b);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_one_chunk_on_their_lines),
        cmocka_unit_test(test_the_tag_is_exactly_lua),
        cmocka_unit_test(test_fences_of_all_kinds),
        cmocka_unit_test(test_what_a_reader_does_not_see_is_not_code),
        cmocka_unit_test(test_nested_blocks_are_refused),
        cmocka_unit_test(test_a_block_without_end),
        cmocka_unit_test(test_files_that_are_no_text),
        cmocka_unit_test(test_a_file_has_a_largest_size),
        cmocka_unit_test(test_headings_name_the_sections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
