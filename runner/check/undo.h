/* SPDX-License-Identifier: Apache-2.0 */
/* What an undo of a run would do now: each change is looked for, nothing is sent and nothing is written. */
#ifndef MIDWATCH_CHECK_UNDO_H
#define MIDWATCH_CHECK_UNDO_H

#include "base/buf.h"
#include "plugin/plugin.h"

/* Adds to every entry of `list` (engine_undo_list) what comes of it:
 *   verdict: "back" | "already": it is so | "moved": somebody else changed it, it stays | "not needed" | "cannot" | "unknown";
 *   now: the state that was found; why, where nobody can look
 * registry: reads_only. In the list's order, each as the ones before leave the target. */
void undo_look(struct registry *registry, struct host *h, json_t *list);
/* As people read it, from "run 12 changed, ..." on. */
void undo_text(int64_t run, const json_t *list, struct buf *out);

#endif
