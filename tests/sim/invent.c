/* SPDX-License-Identifier: Apache-2.0 */
/* Invents a runbook: branches, remedies of every kind, changes for a while, questions,
 * waits and endings, on the same few boxes. */
#include "sim.h"

#include "base/limits.h"

struct text {
    struct rng *r;
    struct buf out;
    int names;
};

static const char *pick(struct text *t, const char *const *list, uint32_t n)
{
    return list[rng_below(t->r, n)];
}
#define PICK(t, ...) pick(t, (const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static int number(struct text *t, int low, int high)
{
    return (int)rng_between(t->r, low, high);
}

static void block(struct text *t, int depth, bool inside);

static void box(struct text *t)
{
    buf_addf(&t->out, "%s.box \"%s\"", PICK(t, "east", "west"), PICK(t, "x", "y"));
}

static void effect(struct text *t)
{
    box(t);
    if (rng_chance(t->r, 7))
        buf_adds(&t->out, ":fire()");
    else
        buf_addf(&t->out, ":%s(%d)", PICK(t, "set", "set", "send", "push"), number(t, 1, 6));
}

static void effects(struct text *t, bool may_fire)
{
    int n = rng_chance(t->r, 65) ? 1 : number(t, 2, 3);

    buf_adds(&t->out, n > 1 ? "{ " : "");
    for (int i = 0; i < n; i++) {
        bool later = n > 1 && rng_chance(t->r, 25);

        buf_adds(&t->out, i ? ", " : "");
        buf_adds(&t->out, later ? "function() return " : "");
        if (may_fire) {
            effect(t);
        } else {
            box(t);
            buf_addf(&t->out, ":%s(%d)", PICK(t, "set", "send", "push"), number(t, 1, 6));
        }
        buf_adds(&t->out, later ? " end" : "");
    }
    buf_adds(&t->out, n > 1 ? " }" : "");
}

static void load(struct text *t)
{
    buf_adds(&t->out, "observe(");
    box(t);
    buf_adds(&t->out, ":load())");
}

static void remedy(struct text *t)
{
    bool guarded = rng_chance(t->r, 50);

    if (guarded) {
        buf_adds(&t->out, "if ");
        load(t);
        buf_addf(&t->out, " > %d then ", number(t, 10, 70));
    }
    buf_addf(&t->out, "mark(remedy(\"r%d\", ", ++t->names);
    effects(t, true);
    buf_adds(&t->out, ", { verify = ");
    if (rng_chance(t->r, 55)) {
        buf_adds(&t->out, "\"applied\"");
    } else {
        buf_adds(&t->out, "function() return ");
        load(t);
        buf_addf(&t->out, " < %d end", number(t, 20, 90));
    }
    buf_addf(&t->out, ", within = \"%ds\"%s }).outcome)%s\n", number(t, 3, 40),
             PICK(t, "", "", "", ", on_failure = \"continue\"", ", on_failure = \"escalate\"",
                  ", approve = true", ", approve = { of = 2, within = \"40s\" }", ", approve = { once = \"k\" }",
                  ", hold = \"2s\"", ", pause = \"1s\"", ", stop_after_errors = 3", ", when = function() return true end"),
             guarded ? " end" : "");
}

static void temporarily(struct text *t, int depth)
{
    buf_addf(&t->out, "temporarily(\"t%d\", ", ++t->names);
    effects(t, false);
    buf_addf(&t->out, ", { within = \"%ds\"%s }, function()\n", number(t, 5, 60), PICK(t, "", "", ", approve = true"));
    block(t, depth + 1, false);
    buf_adds(&t->out, "end)\n");
}

static void parallel(struct text *t, int depth)
{
    int n = number(t, 2, 3);

    buf_adds(&t->out, "parallel {\n");
    for (int i = 0; i < n; i++) {
        buf_adds(&t->out, "function()\n");
        block(t, depth + 1, false);
        buf_adds(&t->out, "end,\n");
    }
    buf_adds(&t->out, "}\n");
}

static void waiting(struct text *t)
{
    buf_addf(&t->out, "mark(wait_until(\"w%d\", { every = \"1s\", within = \"%ds\" }, function() return ", ++t->names,
             number(t, 2, 9));
    load(t);
    buf_addf(&t->out, " < %d end))\n", number(t, 10, 90));
}

static void leaf(struct text *t)
{
    switch (rng_below(t->r, 8)) {
    case 0: buf_addf(&t->out, "sleep \"%ds\"\n", number(t, 1, 8)); break;
    case 1: buf_addf(&t->out, "mark(\"m%d\")\n", ++t->names); break;
    case 2: buf_adds(&t->out, "mark("); load(t); buf_adds(&t->out, ")\n"); break;
    case 3: waiting(t); break;
    case 4:
        buf_addf(&t->out, "mark(ask(\"q%d\", { \"a\", \"b\" }, { within = \"%ds\", otherwise = \"none\" }))\n", ++t->names,
                 number(t, 2, 60));
        break;
    case 5: buf_adds(&t->out, "notify(\"ops\", \"hello\")\n"); break;
    case 6: buf_adds(&t->out, "mark(math.random(100)) sleep(math.random(3))\n"); break;
    default:
        buf_addf(&t->out, "if shared > %d then %s end\n", number(t, 3, 14),
                 PICK(t, "resolve \"r\"", "no_action \"n\"", "escalate \"e\"", "error(\"broken\", 0)"));
    }
}

static void statement(struct text *t, int depth, bool inside)
{
    uint32_t n = rng_below(t->r, depth < 3 ? 12 : 7);

    if (n < 4 || inside)
        leaf(t);
    else if (n < 7)
        remedy(t);
    else if (n < 9)
        parallel(t, depth);
    else if (n < 11)
        temporarily(t, depth);
    else {
        buf_adds(&t->out, "mark(tostring(try(function()\n");
        block(t, depth + 1, false);
        buf_adds(&t->out, "end)))\n");
    }
}

static void block(struct text *t, int depth, bool inside)
{
    for (int i = number(t, 1, depth == 0 ? 4 : 3); i > 0; i--)
        statement(t, depth, inside);
}

char *invent_book(struct rng *r, int n)
{
    struct text t = {.r = r, .out = BUF_INIT(MIB)};

    buf_addf(&t.out, "---\nrunbook: book%d\nsummary: invented\nuses: { east: east, west: west }\nmay:\n", n);
    for (int i = 0; i < 8; i++) {
        static const char *const verbs[] = {"set", "send", "push", "fire"};

        buf_addf(&t.out, "  - { effect: %s.%s, target: \"box/*\", at_most: 9 }\n", i < 4 ? "east" : "west", verbs[i % 4]);
    }
    buf_addf(&t.out, "limits: { time: %s, remedies: %d, targets: %s, cooldown: %s }\n", PICK(&t, "20s", "1m", "10m", "1h"),
             number(&t, 2, 20), PICK(&t, "1", "2", "9"), PICK(&t, "0s", "0s", "30s"));
    buf_addf(&t.out, "escalate: { to: ops%s }\n---\n# Invented\n\n```lua\n", PICK(&t, "", "", ", after: 20s"));
    buf_adds(&t.out, "local shared = 0\nlocal function mark(what)\n  shared = shared + 1\n"
                     "  note(tostring(what) .. \" \" .. shared)\nend\n");
    block(&t, 0, false);
    buf_adds(&t.out, "mark \"end\"\nresolve \"end\"\n```\n");
    return buf_take(&t.out, NULL);
}
