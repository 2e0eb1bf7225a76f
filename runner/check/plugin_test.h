/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin against its contract, for those who write one. */
#ifndef MIDWATCH_CHECK_PLUGIN_TEST_H
#define MIDWATCH_CHECK_PLUGIN_TEST_H

#include "base/buf.h"
#include "base/err.h"

/* Called per case; why is NULL if it holds. */
typedef void (*plugin_case_fn)(void *ctx, const char *name, const char *why);

/* Runs the plugin at path (NAME.lua, NAME, NAME.json or the folder NAME) for real, on the examples of
 * NAME.plugin-test.yaml beside it: its declaration, every read, and every effect applied, undone, and cut off. An
 * error is about the files, not about the plugin's conduct. */
int plugin_test(const char *path, plugin_case_fn tell, void *ctx, struct err *e);
/* What the plugin declares, as JSON to write into its NAME.json. */
int plugin_describe(const char *path, struct buf *out, struct err *e);

#endif
