/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch doctor: one line per finding; exit 2 if one of them is a failure. */
#include "check/doctor.h"

#include "base/json.h"
#include "base/limits.h"
#include "cli/cli.h"

#include <stdio.h>

struct printer {
    bool json;
    struct buf out;
    size_t n[3];
};

static const char *const levels[] = {"ok", "warn", "fail"};

static void print(void *ctx, enum finding_level level, const char *area, const char *text)
{
    struct printer *p = ctx;
    struct json_object o;

    if (!p->json) {
        printf("%-4s  %-9s  %s\n", levels[level], area, text);
        fflush(stdout);
    } else {
        if (p->n[0] + p->n[1] + p->n[2])
            buf_addc(&p->out, ',');
        json_open(&o, &p->out);
        json_put_string(&o, "area", str_of(area));
        json_put_string(&o, "level", str_of(levels[level]));
        json_put_string(&o, "text", str_of(text));
        json_close(&o);
    }
    p->n[level]++;
}

int verb_doctor(struct cli *c)
{
    struct printer p = {.json = c->json, .out = BUF_INIT(4 * MIB)};
    struct doctor d = {.found = print, .ctx = &p};
    struct registry_options ro;
    struct err e = {0};
    int rc = cli_config(c);

    if (rc)
        return rc;
    if (host_real_new(&d.host, &e) < 0)
        return cli_fail(&e);
    ro = (struct registry_options){.host = d.host, .config = c->config, .reads_only = true};
    d.config = c->config;
    d.state_dir = c->state_dir;
    if (registry_new(&ro, &d.registry, &e) == 0)
        doctor_check(&d);
    registry_free(d.registry);
    d.host->ops->free(d.host);
    if (c->json)
        printf("{\"fail\":%zu,\"findings\":[%s],\"ok\":%zu,\"warn\":%zu}\n", p.n[FINDING_FAIL], buf_text(&p.out), p.n[FINDING_OK],
               p.n[FINDING_WARN]);
    buf_free(&p.out);
    return e.code ? cli_fail(&e) : p.n[FINDING_FAIL] ? EXIT_USAGE : EXIT_OK;
}
