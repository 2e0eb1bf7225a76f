/* SPDX-License-Identifier: Apache-2.0 */
/* Changes as bytes: the epoch, then per change its kind, a mask of the fields that say
 * something, and these. Numbers are written 7 bits a byte; a text has its length + 1 in
 * front, or 0 if it is the one of the change before. Bytes come from files, so every
 * step is bounded. */
#include "journal/change.h"

#include "base/limits.h"

/* The place of a field in these lists is its bit: a new one goes to the end, and its list's reader learns nothing else. */
static const size_t texts[] = {
    offsetof(struct change, target),  offsetof(struct change, key),     offsetof(struct change, path),
    offsetof(struct change, action),  offsetof(struct change, text),    offsetof(struct change, uuid),
    offsetof(struct change, runbook), offsetof(struct change, command), offsetof(struct change, bundle),
    offsetof(struct change, params),  offsetof(struct change, trigger), offsetof(struct change, dedup),
    offsetof(struct change, outcome), offsetof(struct change, reason),
};
#define NTEXTS (sizeof(texts) / sizeof(texts[0]))
enum { BIT_RUN_STATE = 24, BIT_EFFECT_STATE, BIT_SEQ, BIT_N, BITS };
_Static_assert(NTEXTS <= BIT_RUN_STATE, "a text more than there are bits");
_Static_assert(sizeof(struct change) == sizeof(enum change_kind) + 4 + NTEXTS * sizeof(struct str) +
               sizeof(enum run_state) + sizeof(enum effect_state) + 2 * sizeof(int64_t),
               "a field of struct change is not in these lists: it would be lost in a rebuild");

static struct str *text_of(struct change *c, size_t i)
{
    return (struct str *)((char *)c + texts[i]);
}

static struct str text_in(const struct change *c, size_t i)
{
    return *(const struct str *)((const char *)c + texts[i]);
}

static void put_number(struct buf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_addc(out, (char)(v | 0x80));
    buf_addc(out, (char)v);
}

static void put_signed(struct buf *out, int64_t v)
{
    put_number(out, v < 0 ? ~((uint64_t)v << 1) : (uint64_t)v << 1);
}

static void encode_one(const struct change *c, const struct change *before, struct buf *out)
{
    uint64_t mask = 0;
    struct str s;
    size_t i;

    for (i = 0; i < NTEXTS; i++)
        mask |= (uint64_t)(text_in(c, i).n > 0) << i;
    mask |= (uint64_t)(c->run_state != 0) << BIT_RUN_STATE | (uint64_t)(c->effect_state != 0) << BIT_EFFECT_STATE |
            (uint64_t)(c->seq != 0) << BIT_SEQ | (uint64_t)(c->n != 0) << BIT_N;
    put_number(out, (uint64_t)c->kind);
    put_number(out, mask);
    for (i = 0; i < NTEXTS; i++) {
        s = text_in(c, i);
        if (s.n == 0)
            continue;
        if (before && str_eq(s, text_in(before, i))) {
            put_number(out, 0);
            continue;
        }
        if (texts[i] == offsetof(struct change, text))
            s = journal_clip(s, KIB);
        put_number(out, s.n + 1);
        buf_add(out, s.p, s.n);
    }
    if (c->run_state)
        put_number(out, (uint64_t)c->run_state);
    if (c->effect_state)
        put_number(out, (uint64_t)c->effect_state);
    if (c->seq)
        put_signed(out, c->seq);
    if (c->n)
        put_signed(out, c->n);
}

void changes_encode(const struct journal_item *item, struct buf *out)
{
    size_t i;

    put_signed(out, item->epoch);
    for (i = 0; i < item->nchanges; i++)
        encode_one(&item->changes[i], i ? &item->changes[i - 1] : NULL, out);
}

struct reader {
    const char *p, *end;
    bool bad;
};

static uint64_t get_number(struct reader *r)
{
    uint64_t v = 0;
    unsigned shift;

    for (shift = 0; r->p < r->end && shift < 64; shift += 7) {
        unsigned char c = (unsigned char)*r->p++;

        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            return v;
    }
    r->bad = true;
    return 0;
}

static int64_t get_signed(struct reader *r)
{
    uint64_t v = get_number(r);

    return (int64_t)(v & 1 ? ~(v >> 1) : v >> 1);
}

static struct str get_text(struct reader *r, const struct change *before, size_t i)
{
    uint64_t n = get_number(r);
    struct str s = STR("");

    if (n == 0 && before)
        return text_in(before, i);
    if (n == 0 || n - 1 > (uint64_t)(r->end - r->p)) {
        r->bad = true;
        return s;
    }
    s = (struct str){r->p, (size_t)n - 1};
    r->p += s.n;
    return s;
}

static void decode_one(struct reader *r, struct change *c, const struct change *before)
{
    uint64_t kind = get_number(r), mask = get_number(r);
    size_t i;

    *c = (struct change){.kind = (enum change_kind)kind};
    r->bad = r->bad || kind > 255 || mask >> BITS || (mask & (((uint64_t)1 << BIT_RUN_STATE) - 1)) >> NTEXTS;
    for (i = 0; i < NTEXTS && !r->bad; i++) {
        if (mask >> i & 1)
            *text_of(c, i) = get_text(r, before, i);
    }
    if (mask >> BIT_RUN_STATE & 1)
        c->run_state = (enum run_state)get_number(r);
    if (mask >> BIT_EFFECT_STATE & 1)
        c->effect_state = (enum effect_state)get_number(r);
    if (mask >> BIT_SEQ & 1)
        c->seq = get_signed(r);
    if (mask >> BIT_N & 1)
        c->n = get_signed(r);
}

int changes_decode(struct str what, struct changes_room *room, struct journal_item *item, struct err *e)
{
    struct reader r = {.p = what.p, .end = what.p + what.n};
    size_t n = 0;

    item->epoch = get_signed(&r);
    for (; r.p < r.end && !r.bad; n++) {
        if (n == room->cap) {
            room->cap = room->cap ? 2 * room->cap : 16;
            room->list = xrealloc(room->list, room->cap * sizeof(*room->list));
        }
        decode_one(&r, &room->list[n], n ? &room->list[n - 1] : NULL);
    }
    item->changes = room->list;
    item->nchanges = n;
    if (r.bad)
        return err_set(e, ERR_CORRUPT, "run %lld: a record of changes cannot be read", (long long)item->run);
    return journal_check(item, e);
}

struct hash changes_chain(const struct hash *previous, const struct change_record *r, const struct hash *head)
{
    unsigned char numbers[24];
    const int64_t values[] = {r->run, r->seq, r->at};
    struct str parts[] = {{(const char *)previous->bytes, HASH_BYTES}, {(const char *)numbers, sizeof(numbers)},
                          {(const char *)head->bytes, HASH_BYTES}, r->what};
    size_t i;

    for (i = 0; i < sizeof(numbers); i++)
        numbers[i] = (unsigned char)((uint64_t)values[i / 8] >> (8 * (i % 8)));
    return hash_parts(parts, sizeof(parts) / sizeof(parts[0]));
}
