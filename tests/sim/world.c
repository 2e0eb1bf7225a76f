/* SPDX-License-Identifier: Apache-2.0 */
/* The world: boxes behind two servers, a log of every change that they were asked
 * for, and requests that are lost, cut, late, doubled or refused. */
#include "sim.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LATE_MS = 13000,            /* behind the deadline of an effect (10 s), within the grace */
    LIAR = 2,                   /* no draw: the seeds of findings (sim.c) stay what they are */
};

static const char *const names[BOXES] = {"east:box/x", "east:box/y", "west:box/x", "west:box/y"};

void world_init(struct sim *s)
{
    for (int i = 0; i < BOXES; i++) {
        struct box *b = &s->boxes[i];

        snprintf(b->target, sizeof(b->target), "%s", names[i]);
        b->value = rng_between(&s->rng, 1, 6);
        b->generation = 4;
        b->foreign_at = -1;
    }
}

struct known *world_known(struct sim *s, const char *key)
{
    for (size_t i = 0; i < s->nknown; i++) {
        if (strcmp(s->known[i].key, key) == 0)
            return &s->known[i];
    }
    return NULL;
}

void world_move(struct sim *s)
{
    struct box *b = &s->boxes[rng_below(&s->rng, BOXES)];

    b->value = rng_between(&s->rng, 1, 6);
    b->generation++;
    b->foreign_at = sim_now(s);
    sim_log(s, "somebody sets %s to %lld", b->target, (long long)b->value);
}

/* Returns the HTTP status. */
static int act(struct sim *s, struct receipt *r, int64_t value, int64_t generation)
{
    struct box *b = &s->boxes[r->box];
    struct known *k = world_known(s, r->key);
    bool careless = s->plant == PLANT_ACT_TWICE || s->plant == PLANT_BLIND_LOOKS;

    if (strcmp(r->verb, "send") == 0 && k && k->applied && !careless)
        return 200;
    if (strcmp(r->verb, "send") != 0 && generation >= 0 && generation != b->generation && !careless)
        return 409;
    r->applied = true;
    if (k)
        k->applied++;
    if (strcmp(r->verb, "fire") == 0) {
        b->shots++;
    } else {
        b->value = value;
        b->generation++;
    }
    sim_log(s, "%s: %s %lld by %s", b->target, r->verb, (long long)value, r->key);
    return 200;
}

static void arrive(struct sim *s, size_t i)
{
    struct flying f = s->flying[i];

    s->flying[i] = s->flying[--s->nflying];
    act(s, &s->receipts[f.receipt], f.value, f.generation);
}

void world_arrive(struct sim *s)
{
    for (size_t i = 0; i < s->nflying;) {
        if (s->flying[i].at <= sim_now(s))
            arrive(s, i);
        else
            i++;
    }
}

void world_settle(struct sim *s)
{
    while (s->nflying) {
        if (rng_chance(&s->rng, 50))
            arrive(s, 0);
        else
            s->flying[0] = s->flying[--s->nflying];
    }
}

static bool holder(void *ctx, const struct lock_info *l)
{
    struct receipt *r = ctx;

    if (strcmp(l->target, names[r->box]) == 0)
        r->holder = l->run;
    return true;
}

/* What is true when a change is asked for; the checkers judge it later. */
static struct receipt *receive(struct sim *s, int box, const json_t *body)
{
    struct receipt *r;
    struct known *k;

    if (s->nreceipts == RECEIPTS_MAX)
        abort();
    r = &s->receipts[s->nreceipts++];
    *r = (struct receipt){.box = box, .at = sim_now(s)};
    snprintf(r->key, sizeof(r->key), "%s", json_get_string(body, "key", "?"));
    snprintf(r->verb, sizeof(r->verb), "%s", json_get_string(body, "verb", "?"));
    k = world_known(s, r->key);
    r->run = k ? k->run : 0;
    r->intents = k ? k->intents : 0;
    r->halted = s->halted && s->halted_at < r->at;
    s->inner->ops->locks(s->inner, holder, r, &(struct err){0});
    return r;
}

static int say(struct buf *out, json_t *take)
{
    json_add_value(out, take);
    json_decref(take);
    return 200;
}

static bool goes_wrong(struct sim *s)
{
    return !sim_is_calm(s) && rng_chance(&s->rng, (uint32_t)s->faults);
}

static int change(struct sim *s, int box, struct str text, struct buf *out, int64_t *delay_ms)
{
    json_t *body = NULL;
    struct receipt *r;
    int64_t value, generation;
    int status;

    if (json_read(text, &body, &(struct err){0}) < 0)
        return 400;
    r = receive(s, box, body);
    value = json_get_int(body, "value", 0);
    generation = json_get_int(body, "generation", -1);
    json_decref(body);
    switch (goes_wrong(s) ? rng_below(&s->rng, 12) : 99) {
    case 0:                     /* refused at the door */
        s->nreceipts--;
        return -1;
    case 1:                     /* lost on its way, in some seeds behind a server that says yes to everything */
        return s->seed % 7 == LIAR && strcmp(r->verb, "fire") != 0 ? 200 : 0;
    case 2:                     /* done, and the answer is cut */
        act(s, r, value, generation);
        return 0;
    case 3:                     /* it arrives after everybody stopped waiting */
        if (s->nflying < FLYING_MAX)
            s->flying[s->nflying++] = (struct flying){(size_t)(r - s->receipts), sim_now(s) + rng_between(&s->rng, 1, LATE_MS),
                                                      value, generation};
        *delay_ms = 100000;
        return 200;
    case 4:                     /* the answer does */
        *delay_ms = 100000;
        return act(s, r, value, generation);
    case 5:
        return 409;
    case 6:
        return rng_chance(&s->rng, 50) ? 429 : 403;
    case 7:
        return 500;
    case 8:                     /* done, and it says it broke */
        act(s, r, value, generation);
        return 503;
    case 9:
        act(s, r, value, generation);
        buf_adds(out, "<html>login</html>");
        return 200;
    case 10:                    /* the network doubles it */
        status = act(s, r, value, generation);
        if (strcmp(r->verb, "fire") != 0)
            act(s, r, value, generation);
        return status;
    case 11:                    /* it is done, and at once somebody else does something */
        status = act(s, r, value, generation);
        world_move(s);
        return status;
    default:
        status = act(s, r, value, generation);
        if (s->plant == PLANT_ACT_TWICE)
            act(s, r, value, generation);
        return status;
    }
}

static json_t *nonsense(struct rng *r)
{
    static const char *const values[] = {"5", "\"text\"", "true", "[]", "{}", "{\"value\":\"7\"}", "{\"value\":null}", "[1]"};
    json_error_t e;

    return json_pack("{s:s s:o}", "misbehave", "nonsense", "nonsense",
                     json_loads(values[rng_below(r, 8)], JSON_DECODE_ANY, &e));
}

/* A look that tells nothing, or nonsense. Returns the status, or 1: it is answered well. */
static int bad_look(struct sim *s, struct buf *out, int64_t *delay_ms)
{
    switch (goes_wrong(s) ? rng_below(&s->rng, 9) : 99) {
    case 0: return -1;
    case 1: return 0;
    case 2: *delay_ms = 100000; return 200;
    case 3: return 500;
    case 4: buf_adds(out, "<html>"); return 200;
    case 5: return say(out, json_pack("{s:s}", "unknown", rng_chance(&s->rng, 50) ? "no_data" : "error"));
    case 6: return say(out, json_pack("{s:s}", "misbehave", "raise"));
    case 7: return say(out, json_pack("{s:s}", "misbehave", "hang"));
    case 8: return say(out, nonsense(&s->rng));
    default: return 1;
    }
}

static int look(struct sim *s, struct box *b, const char *what, struct buf *out, int64_t *delay_ms)
{
    struct known *k;
    int64_t at = (sim_now(s) + s->skew) / 1000;
    int status = bad_look(s, out, delay_ms);

    if (status != 1)
        return status;
    if (strcmp(what, "state") == 0 && s->plant == PLANT_BLIND_LOOKS)
        return say(out, json_pack("{s:I s:I}", "value", (json_int_t)3, "generation", (json_int_t)4));
    if (strcmp(what, "state") == 0)
        return say(out, json_pack("{s:I s:I}", "value", (json_int_t)b->value, "generation", (json_int_t)b->generation));
    if (strcmp(what, "load") == 0)
        return say(out, json_pack("{s:I s:I}", "load", (json_int_t)(100 - 12 * b->value + rng_between(&s->rng, 0, 5)), "at",
                                  (json_int_t)(at - (goes_wrong(s) ? 100 : 0))));
    if (strncmp(what, "key/", 4) != 0)
        return 404;
    k = world_known(s, what + 4);
    if (goes_wrong(s) && rng_chance(&s->rng, 30))
        return say(out, json_pack("{s:s}", "verdict", "banana"));
    return say(out, json_pack("{s:s}", "verdict", k && k->applied && s->plant != PLANT_BLIND_LOOKS ? "applied" : "absent"));
}

/* http://127.0.0.1:7001/x/state */
static int box_of(const char *url, const char **what)
{
    int port = 0, at = 0;
    char name = 0;

    if (sscanf(url, "http://127.0.0.1:%d/%c%n", &port, &name, &at) != 2 || port < 7001 || port > 7002 || name < 'x' || name > 'y')
        return -1;
    *what = url[at] == '/' ? url + at + 1 : url + at;
    return (port - 7001) * 2 + (name - 'x');
}

int world_http(void *sim, const struct http_request *r, struct buf *body, int64_t *delay_ms)
{
    struct sim *s = sim;
    const char *what = "";
    int box = box_of(r->url, &what), status;

    world_arrive(s);
    *delay_ms = rng_between(&s->rng, 1, 900);
    if (s->plant == PLANT_REAL_RANDOM)
        *delay_ms += (int64_t)(random() % 50);
    if (box < 0)
        return 404;
    status = r->method == HTTP_PUT ? change(s, box, r->body, body, delay_ms) : look(s, &s->boxes[box], what, body, delay_ms);
    sim_point(s, "answer");
    return status;
}

int world_spawn(void *sim, const struct spawn_request *r, struct buf *out, struct buf *errout, int64_t *delay_ms)
{
    struct sim *s = sim;

    (void)r, (void)out, (void)errout;
    *delay_ms = goes_wrong(s) ? 200000 : 20;
    sim_log(s, "a message");
    return goes_wrong(s) ? 1 : 0;
}
