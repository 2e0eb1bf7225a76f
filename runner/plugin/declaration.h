/* SPDX-License-Identifier: Apache-2.0 */
/* What a plugin declares, as data: {abi, name, settings, things, reads, effects}.
 * A Lua plugin's comes from its text, a process's is a JSON file beside it. Also the
 * parts of a process plugin that are data because they must be pure: `want`. */
#ifndef MIDWATCH_PLUGIN_DECLARATION_H
#define MIDWATCH_PLUGIN_DECLARATION_H

#include "base/err.h"

#include <jansson.h>

#define PLUGIN_ABI 1

/* Every name, schema, class and target of it; ERR_INVALID says where ("effects.scale.params.replicas: ..."). */
int declaration_check(const json_t *declared, struct err *e);
/* The same for the file of a process plugin, which also has `abi`, `state`, `check` and `want`; adds has_state and
 * has_check, as faces and engine want them. */
int declaration_of_process(json_t *declared, const char *plugin, struct err *e);
/* The operator's settings against the declared ones; the name of a wrong one goes to `setting`. */
int declaration_settings(const json_t *declared, const json_t *settings, char setting[64], struct err *e);
/* The absolute end state from the template of an effect: "args", or a value in which "{{name}}" is an argument and
 * "{{state.name}}" a field of the state (NULL = unknown: an error where it is named). *out is a new reference. */
int declaration_want(const json_t *effect, const json_t *args, const json_t *state, json_t **out, struct err *e);

#endif
