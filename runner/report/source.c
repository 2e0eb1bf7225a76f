/* SPDX-License-Identifier: Apache-2.0 */
#include "report/source.h"

#include "base/json.h"
#include "base/limits.h"

static bool no_files(void *ctx, const char *path, struct str data)
{
    (void)ctx, (void)path, (void)data;
    return false;
}

/* The manifest if it names a repository, else NULL. Owned. */
static json_t *manifest_of(struct journal *j, const char *bundle)
{
    struct buf text = BUF_INIT(MIB);
    struct err ignored = {0};
    json_t *m = NULL;

    if (j->ops->get_bundle(j, bundle, &text, no_files, NULL, &ignored) == 0)
        json_read((struct str){buf_text(&text), text.len}, &m, NULL);
    buf_free(&text);
    if (json_get_string(m, "repo", NULL))
        return m;
    json_decref(m);
    return NULL;
}

void report_source_json(struct journal *j, const char *bundle, struct buf *out)
{
    json_t *m = manifest_of(j, bundle), *source = NULL;

    if (m)
        source = json_pack("{s:O? s:O? s:O? s:O?}", "commit", json_object_get(m, "commit"), "dirty",
                           json_object_get(m, "dirty"), "repo", json_object_get(m, "repo"), "tree", json_object_get(m, "tree"));
    json_add_value(out, source);
    json_decref(source);
    json_decref(m);
}

void report_source_text(struct journal *j, const char *bundle, struct buf *out)
{
    json_t *m = manifest_of(j, bundle);
    const char *repo = json_get_string(m, "repo", "");

    if (!m)
        return;
    if (json_get_string(m, "commit", NULL))
        buf_addf(out, "commit %.12s of ", json_get_string(m, "commit", ""));
    else
        buf_adds(out, "no known commit of ");
    str_add_printable(out, repo, strlen(repo));
    if (json_get_string(m, "commit", NULL) && json_get_bool(m, "dirty", true))
        buf_adds(out, ", with changes that are in no commit");
    json_decref(m);
}
