/* SPDX-License-Identifier: Apache-2.0 */
#include "run/run.h"

bool tend_turn(struct engine *n) { (void)n; return false; }
bool tend_is_over(const struct engine *n) { (void)n; return true; }
void tend_free(struct engine *n) { (void)n; }
