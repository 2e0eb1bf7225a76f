/* SPDX-License-Identifier: Apache-2.0 */
/* Small files, synchronously: whole reads with a maximum, writes that are
 * either completely there after a power cut or not at all. */
#ifndef MIDWATCH_IO_FILE_H
#define MIDWATCH_IO_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

/* Regular files only. ERR_NOT_FOUND; ERR_LIMIT above `max` bytes. On failure `out` is as it was. */
int file_read(const char *path, size_t max, struct buf *out, struct err *e);
/* Replaces `path`. ERR_DISK where the disk is full or cannot be written. */
int file_write(const char *path, struct str data, struct err *e);
/* True also where it cannot be told, since this asks for the halt file. */
bool file_exists(const char *path);
/* ERR_NOT_FOUND if it was not there. Durable on return. */
int file_remove(const char *path, struct err *e);

#endif
