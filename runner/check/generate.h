/* SPDX-License-Identifier: Apache-2.0 */
/* midwatch test --generate: scenarios for the paths of a runbook that none of its scenarios takes. All paths are explored with
 * values for each (explore.h); every proposal is run, and is one only if the run ends where its path does and decides all that the
 * path decides. What a run decided (cover.h), did, heard from people and came to says which paths it covers. */
#ifndef MIDWATCH_CHECK_GENERATE_H
#define MIDWATCH_CHECK_GENERATE_H

#include "check/check.h"

struct generate_request {
    struct source *source;          /* NULL = the working tree */
    const char *name;
    struct config *config;
    struct registry *registry;      /* sealed */
    size_t at_most;                 /* proposals */
};

/* *out is owned:
 *   { file, indent, proposed: [{ name, yaml, path }], unconfirmed: [{ path, why }], without: [{ path, why }], covered, untried,
 *     failing, ended }
 * In the order of the map, but those first that reach a branch which nothing reaches. file: of the scenarios, "" if there is none
 * yet; yaml: an element of its list, whose dash stands behind `indent` blanks. unconfirmed: a run with the values that were found
 * takes another way; without: no values were found, or a scenario cannot say them. covered: paths that a scenario takes, of the
 * file or proposed; untried: paths left when at_most was reached; failing: scenarios of the file that do not pass, which cover
 * nothing; ended: as of the map. */
int generate(const struct generate_request *q, json_t **out, struct err *e);

#endif
