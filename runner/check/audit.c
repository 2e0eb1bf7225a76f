/* SPDX-License-Identifier: Apache-2.0 */
/* What of an audit needs more than the journal: the sources of runs against their
 * manifests, and anchors. An anchor is small: the chain of changes holds the head of
 * every run at its last change, an END is one, so that only what runs do beside it is
 * named. */
#include "check/check.h"

#include "base/json.h"
#include "base/limits.h"
#include "book/bundle.h"

#include <stdio.h>
#include <stdlib.h>

#define ANCHOR_FORMAT 1

/* The sources */

struct sources {
    struct journal *j;
    audit_fn fn;
    void *ctx;
    char last[65];          /* the bundle that was looked at last: runs of one runbook stand together */
    struct bundle *bundle;
    size_t files;
    struct err e;
    bool stopped;
};

static bool no_file(void *ctx, const char *path, struct str data)
{
    (void)ctx, (void)path, (void)data;
    return false;
}

static bool look_at_file(void *ctx, const char *path, struct str data)
{
    struct sources *s = ctx;

    s->files++;
    return bundle_restore_file(s->bundle, path, data, &s->e) == 0;
}

static int same_manifest(struct str manifest, const char *id, struct err *e)
{
    struct hash h = hash_of(manifest);
    char hex[2 * HASH_BYTES + 1];

    return strcmp(hash_hex(&h, hex), id) == 0 ? 0 : err_set(e, ERR_CORRUPT, "the manifest is not what its hash says");
}

static void look_at_bundle(struct sources *s, const char *id)
{
    struct buf manifest = BUF_INIT(MIB);

    s->e = (struct err){0};
    s->bundle = NULL;
    s->files = 0;
    if (s->j->ops->get_bundle(s->j, id, &manifest, no_file, NULL, &s->e) == 0 &&
        same_manifest((struct str){buf_text(&manifest), manifest.len}, id, &s->e) == 0 &&
        bundle_open((struct str){buf_text(&manifest), manifest.len}, &s->bundle, &s->e) == 0) {
        buf_reset(&manifest);
        s->j->ops->get_bundle(s->j, id, &manifest, look_at_file, s, &s->e);
        if (s->e.code == 0 && s->files != s->bundle->nfiles)
            err_set(&s->e, ERR_CORRUPT, "of its %zu files %zu are missing", s->bundle->nfiles, s->bundle->nfiles - s->files);
        bundle_free(s->bundle);
    }
    buf_free(&manifest);
}

static bool look_at_run(void *ctx, const struct run_info *r)
{
    struct sources *s = ctx;
    char where[64];

    if (strcmp(s->last, r->bundle) != 0)
        look_at_bundle(s, r->bundle);
    snprintf(s->last, sizeof(s->last), "%s", r->bundle);
    /* Another abi is no damage: replay names it. */
    if (s->e.code == 0 || s->e.code == ERR_INVALID)
        return true;
    snprintf(where, sizeof(where), "run %lld, its sources", (long long)r->id);
    s->stopped = !s->fn(s->ctx, r->id, 0, where, s->e.msg);
    return !s->stopped;
}

int audit_sources(struct journal *j, audit_fn fn, void *ctx, struct err *e)
{
    struct sources s = {.j = j, .fn = fn, .ctx = ctx};

    return j->ops->runs(j, false, look_at_run, &s, e);
}

/* Anchors */

struct anchoring {
    struct journal *j;
    json_t *heads;          /* run -> [row, chain], of those whose rows no change holds */
    json_t *changes;        /* [number, chain] */
};

static json_t *head(int64_t n, const struct hash *chain)
{
    char hex[2 * HASH_BYTES + 1];

    return json_pack("[I, s]", (json_int_t)n, hash_hex(chain, hex));
}

static bool add_open(void *ctx, const struct run_info *r)
{
    struct anchoring *a = ctx;
    char id[24];

    snprintf(id, sizeof(id), "%lld", (long long)r->id);
    /* A run that sleeps has written nothing behind the change that put it to sleep. */
    if (r->next_seq > 1 && r->state != RUN_WAITING_TIME)
        json_object_set_new(a->heads, id, head(r->next_seq - 1, &r->chain));
    return true;
}

static bool add_head(void *ctx, int64_t run, int64_t seq, const struct hash *chain)
{
    struct anchoring *a = ctx;

    if (run == 0 && seq > 0)
        json_object_set_new(a->heads, "0", head(seq, chain));
    if (run < 0)
        a->changes = head(seq, chain);
    return true;
}

/* The text that the hash is of: everything but the hash. */
static void anchor_hash(const json_t *anchor, char out[2 * HASH_BYTES + 1])
{
    json_t *body = json_copy((json_t *)(uintptr_t)anchor);
    struct buf text = BUF_INIT(64 * MIB);
    struct hash h;

    json_object_del(body, "hash");
    json_add_value(&text, body);
    h = hash_of((struct str){buf_text(&text), text.len});
    hash_hex(&h, out);
    json_decref(body);
    buf_free(&text);
}

int audit_anchor(struct journal *j, int64_t now_ms, struct buf *out, char hash[2 * HASH_BYTES + 1], struct err *e)
{
    struct anchoring a = {.j = j, .heads = json_object()};
    json_t *anchor;
    int rc;

    journal_moment(j, true);
    rc = journal_last_change(j, add_head, &a, e);
    if (rc == 0)
        rc = j->ops->runs(j, true, add_open, &a, e);
    journal_moment(j, false);
    anchor = json_pack("{s:i s:I s:o s:o}", "anchor", ANCHOR_FORMAT, "at", (json_int_t)now_ms, "changes",
                       a.changes ? a.changes : json_null(), "heads", a.heads);
    anchor_hash(anchor, hash);
    json_object_set_new(anchor, "hash", json_string(hash));
    json_add_value(out, anchor);
    json_decref(anchor);
    return rc;
}

struct against {
    struct journal *j;
    audit_fn fn;
    void *ctx;
    bool stopped;
};

static int compare_head(struct against *a, int64_t run, const json_t *then, struct err *e)
{
    int64_t seq = json_integer_value(json_array_get(then, 0));
    const char *hex = json_string_value(json_array_get(then, 1));
    struct hash was, is;
    struct err missing = {0};
    char where[80];
    int rc;

    if (!hex || seq < 1 || hash_from_hex(str_of(hex), &was) < 0)
        return err_set(e, ERR_INVALID, "this is no anchor: a head of it is not [number, hash]");
    rc = journal_head_at(a->j, run, seq, &is, &missing);
    if (rc < 0 && rc != ERR_NOT_FOUND)
        return *e = missing, rc;
    if (run < 0)
        snprintf(where, sizeof(where), "change %lld", (long long)seq);
    else
        snprintf(where, sizeof(where), "run %lld, row %lld", (long long)run, (long long)seq);
    if (rc == ERR_NOT_FOUND)
        a->stopped = !a->fn(a->ctx, run, seq, where, "it was there when the anchor was made, and is not now");
    else if (!hash_eq(&was, &is))
        a->stopped = !a->fn(a->ctx, run, seq, where, "it, or something before it, is not what it was when the anchor was made");
    return 0;
}

int audit_against(struct journal *j, struct str text, int64_t *at, audit_fn fn, void *ctx, struct err *e)
{
    struct against a = {.j = j, .fn = fn, .ctx = ctx};
    json_t *anchor = NULL, *then;
    char hash[2 * HASH_BYTES + 1];
    const char *run;
    int rc = json_read(text, &anchor, e);

    if (rc == 0 && json_get_int(anchor, "anchor", 0) != ANCHOR_FORMAT)
        rc = err_set(e, ERR_INVALID, "this is no anchor of midwatch audit anchor");
    if (rc == 0) {
        anchor_hash(anchor, hash);
        if (strcmp(hash, json_get_string(anchor, "hash", "")) != 0)
            rc = err_set(e, ERR_INVALID, "the anchor was changed: it is not what its own hash says");
    }
    if (rc == 0) {
        *at = json_get_int(anchor, "at", 0);
        then = json_object_get(anchor, "changes");
        rc = json_is_null(then) ? 0 : compare_head(&a, -1, then, e);
    }
    json_object_foreach(json_object_get(anchor, "heads"), run, then) {
        if (rc == 0 && !a.stopped)
            rc = compare_head(&a, strtoll(run, NULL, 10), then, e);
    }
    json_decref(anchor);
    return rc;
}
