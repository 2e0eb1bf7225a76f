/* SPDX-License-Identifier: Apache-2.0 */
/* Structured log to stderr: one event, one line (logfmt, or JSON), never above
 * 4 KiB, control bytes escaped. Values registered as secret never appear, nor
 * do their lines, nor their base64, hex, URL-encoded and JSON-escaped forms. Any
 * thread may call everything but log_setup, which belongs to the start. */
#ifndef MIDWATCH_BASE_LOG_H
#define MIDWATCH_BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

void log_setup(enum log_level level, enum log_format format, int fd);
/* fmt is the event in words; fields go into it as "key=value". One line. */
void log_event(enum log_level level, const char *subsystem, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* From now on `secret` (at least 6 bytes) is redacted wherever log_redact is applied. Copied. */
void log_secret(struct str secret);
/* Adds text with every registered secret replaced by "***"; never longer than it was.
 * Also used before anything is journaled or shown. */
void log_redact(struct buf *out, struct str text);
/* As log_redact, for text that was cut off at its end: the beginning of a secret that stands there (from 4 bytes) goes too. */
void log_redact_cut(struct buf *out, struct str text);
/* True if any secret is registered (the hot path skips redaction otherwise). */
bool log_has_secrets(void);

#endif
