/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch.yaml: what the operator decides, strictly read. Instances name the
 * configured systems; commands are what `shell` may run. */
#ifndef MIDWATCH_CONFIG_CONFIG_H
#define MIDWATCH_CONFIG_CONFIG_H

#include "base/err.h"
#include "base/str.h"
#include "base/yaml.h"
#include "config/allow.h"
#include "config/freezes.h"
#include "config/policy.h"
#include "config/routes.h"
#include "config/secrets.h"

#include <jansson.h>
#include <stdbool.h>

struct instance {
    char *name;             /* unique: "prod-eu" */
    char *plugin;           /* "kubernetes" */
    json_t *settings;       /* everything but `plugin`, as written; paths stay relative to config.dir */
    bool implicit;          /* made from the environment, not written by the operator */
    int line, column;
    struct place {
        char *setting;
        int line, column;
    } *places;              /* of the settings */
    size_t nplaces;
};

/* Where notify sends: a program that takes the text on its stdin. */
struct channel {
    char *name;
    char **argv;            /* NULL-ended */
    int64_t timeout_ms;
};

#define OFF_AFTER 3

enum config_found { CONFIG_NONE, CONFIG_NAMED, CONFIG_ENV, CONFIG_HERE, CONFIG_USER, CONFIG_SYSTEM };

struct config {
    char *file;             /* NULL = none found */
    char *dir;              /* directory of file, "." without one */
    char *state_dir;        /* `state:`, or NULL */
    char *plugin_dir;       /* `plugins:`, the operator's own plugins, or NULL */
    struct instance *instances;
    size_t ninstances;
    enum config_found found;
    bool has_allow;         /* `allow:` is there, be it empty: what it does not name is refused */
    struct allow *allow;
    size_t nallow;
    struct route *routes;
    size_t nroutes;
    struct freeze *freezes;
    size_t nfreezes;
    struct budget *budgets;
    size_t nbudgets;
    int64_t off_after;      /* `ineffective:`, so many remedies in a row that do not help turn a runbook off; 3 without */
    int64_t stale_ms;       /* `stale_trigger:`, an alert that fires longer starts no change any more; 0 = any may */
    int64_t flapping;       /* `flapping:`, an alert that began so often within flapping_ms changes nothing; 0 = it may */
    int64_t flapping_ms;
    struct approval_rule approvals;
    struct channel *channels;
    size_t nchannels;
    char **hosts;           /* globs over host or host:port, NULL-ended: all that plugins may talk to; NULL = no limit */
    struct secret_source *secrets;
    size_t nsecrets;
    json_t *commands;       /* {name: declaration} checked: DESIGN section 3, shell; an empty object without */
};

/* Search order: explicit, $MIDWATCH_CONFIG, ./midwatch.yaml, the user's, /etc/midwatch/midwatch.yaml. A file
 * that was named must exist; of the others the first that exists counts, and none is fine. *out is owned. */
int config_load(const char *explicit_file, struct config **out, struct err *e);
/* Parses text (tests, and config_load). */
int config_read(struct str text, const char *file, struct config **out, struct err *e);
void config_free(struct config *c);
/* The instance by name, or the implicit one of a plugin that exists without a file: `kubernetes` ($KUBECONFIG or
 * ~/.kube/config), `prometheus` ($PROMETHEUS_URL), `shell`. NULL if there is none. Borrowed from c. */
const struct instance *config_instance(struct config *c, const char *name);
/* The secret by name; NULL and ERR_NOT_FOUND (with the nearest) if there is none. Borrowed from c. */
const struct secret_source *config_secret(const struct config *c, const char *name, struct err *e);
/* The channel by name; NULL and ERR_NOT_FOUND (with the nearest) if there is none. Borrowed from c. */
const struct channel *config_channel(const struct config *c, struct str name, struct err *e);
/* Where a setting of the instance is written; where the instance is, if it has none of this name. */
void config_place(const struct instance *x, const char *setting, int *line, int *column);
/* The plugin of an instance, as configured or implied; NULL if there is none. Borrowed. */
const char *config_plugin(const struct config *c, struct str instance);
/* The entry of `allow` that permits plugin.effect on instance:target with these arguments (NULL = whatever they are), or
 * NULL; why says which bound was in the way, or nothing. */
const struct allow *config_allows(const struct config *c, const char *effect, struct str instance, struct str target,
                                  const json_t *args, struct buf *why);
/* The route that accepts what the runbook itself offers, or NULL. */
const struct route *config_accepts(const struct config *c, const char *runbook);
/* --state, then `state:`, then $MIDWATCH_STATE, then ~/.local/state/midwatch (root: /var/lib/midwatch). Owned text. */
char *config_state_dir(const struct config *c, const char *explicit_dir);

#endif
