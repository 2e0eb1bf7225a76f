/* SPDX-License-Identifier: Apache-2.0 */
/* TAP 13 and JUnit XML. Names and reasons are hostile text. */
#include "cli/results.h"

#include "base/json.h"
#include "base/str.h"

/* A '#' would begin a directive, a backslash escapes it. */
static void tap_name(struct buf *out, const char *name)
{
    struct buf plain = BUF_INIT(64u << 10);
    size_t i;

    str_add_printable(&plain, name, strlen(name));
    for (i = 0; i < plain.len; i++) {
        if (plain.data[i] == '#')
            buf_addc(out, '\\');
        buf_addc(out, plain.data[i]);
    }
    buf_free(&plain);
}

/* Each line of a text, behind `prefix`. */
static void lines(struct buf *out, const char *text, const char *prefix)
{
    size_t n;

    for (; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        buf_adds(out, prefix);
        str_add_printable(out, text, n);
        buf_addc(out, '\n');
    }
}

void results_tap(const json_t *results, struct buf *out)
{
    const json_t *r;
    size_t i;

    buf_addf(out, "TAP version 13\n1..%zu\n", json_array_size(results));
    json_array_foreach((json_t *)results, i, r) {
        bool passed = json_get_bool(r, "passed", false);

        buf_addf(out, "%s %zu - ", passed ? "ok" : "not ok", i + 1);
        tap_name(out, json_get_string(r, "file", ""));
        buf_adds(out, ": ");
        tap_name(out, json_get_string(r, "name", ""));
        buf_addc(out, '\n');
        if (passed)
            continue;
        buf_adds(out, "  ---\n  message: |\n");
        lines(out, json_get_string(r, "why", ""), "    ");
        buf_adds(out, "  ...\n");
    }
}

/* Characters that XML has no place for are shown as \x1b. */
static void xml(struct buf *out, const char *text)
{
    struct buf plain = BUF_INIT(64u << 10);
    size_t i;

    for (; *text; text += i + (text[i] == '\n')) {
        i = strcspn(text, "\n");
        str_add_printable(&plain, text, i);
        if (text[i])
            buf_addc(&plain, '\n');
    }
    for (i = 0; i < plain.len; i++) {
        switch (plain.data[i]) {
        case '&':
            buf_adds(out, "&amp;");
            break;
        case '<':
            buf_adds(out, "&lt;");
            break;
        case '>':
            buf_adds(out, "&gt;");
            break;
        case '"':
            buf_adds(out, "&quot;");
            break;
        case '\n':
            buf_adds(out, "&#10;");
            break;
        default:
            buf_addc(out, plain.data[i]);
        }
    }
    buf_free(&plain);
}

static void junit_case(const json_t *r, struct buf *out)
{
    bool passed = json_get_bool(r, "passed", false);

    buf_adds(out, "    <testcase classname=\"");
    xml(out, json_get_string(r, "file", ""));
    buf_adds(out, "\" name=\"");
    xml(out, json_get_string(r, "name", ""));
    buf_addf(out, "\" time=\"%.3f\"%s\n", json_number_value(json_object_get(r, "ms")) / 1000, passed ? "/>" : ">");
    if (passed)
        return;
    buf_adds(out, "      <failure message=\"");
    xml(out, json_get_string(r, "why", ""));
    buf_adds(out, "\"/>\n    </testcase>\n");
}

/* One suite per file, as long as its results stand together. */
void results_junit(const json_t *results, struct buf *out)
{
    size_t i, k, n = json_array_size(results), failed;

    buf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"midwatch\">\n");
    for (i = 0; i < n; i = k) {
        const char *file = json_get_string(json_array_get(results, i), "file", "");

        for (k = i, failed = 0; k < n && strcmp(json_get_string(json_array_get(results, k), "file", ""), file) == 0; k++)
            failed += !json_get_bool(json_array_get(results, k), "passed", false);
        buf_adds(out, "  <testsuite name=\"");
        xml(out, file);
        buf_addf(out, "\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"0\">\n", k - i, failed);
        for (size_t m = i; m < k; m++)
            junit_case(json_array_get(results, m), out);
        buf_adds(out, "  </testsuite>\n");
    }
    buf_adds(out, "</testsuites>\n");
}
