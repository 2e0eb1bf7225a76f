/* SPDX-License-Identifier: Apache-2.0 */
/* Inside config/: the sections of the file, one reader each. Each leaves what it read in
 * c, also when it fails; config_free frees it. */
#ifndef MIDWATCH_CONFIG_INTERNAL_H
#define MIDWATCH_CONFIG_INTERNAL_H

#include "config/config.h"

#define FAIL(node, ...) yaml_err(e, c->file, (node), __VA_ARGS__)

int secrets_read_section(struct config *c, const struct yaml *y, struct err *e);
void secrets_free_section(struct config *c);
/* Every `secret: NAME` within y names a secret there is. */
int secrets_check_names(const struct config *c, const struct yaml *y, struct err *e);
int allow_read_section(struct config *c, const struct yaml *y, struct err *e);
void allow_free_section(struct config *c);
int routes_read_section(struct config *c, const struct yaml *y, struct err *e);
void routes_free_section(struct config *c);
int freezes_read_section(struct config *c, const struct yaml *y, struct err *e);
void freezes_free_section(struct config *c);
/* budgets, ineffective, stale_trigger, flapping and approvals, of the whole file */
int policy_read_sections(struct config *c, const struct yaml *y, struct err *e);
void policy_free_sections(struct config *c);
/* The zone that y, a text, names. */
int config_zone(const struct config *c, const struct yaml *y, struct zone **out, struct err *e);
int channels_read_section(struct config *c, const struct yaml *y, struct err *e);
void channels_free_section(struct config *c);
int commands_read_section(struct config *c, const struct yaml *y, struct err *e);
/* A list of at least one text as a NULL-ended array (config_free_words). `what` is for messages. */
int config_words(const struct config *c, const struct yaml *y, const char *what, char ***out, struct err *e);
void config_free_words(char **words);
/* "path" as seen from the directory of the configuration. Owned. */
char *config_path(const struct config *c, struct str path);

#endif
