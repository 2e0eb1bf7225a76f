/* SPDX-License-Identifier: Apache-2.0 */
/* `secrets:` of the configuration: where each comes from, and the servers and
 * programs that alone may get it. Values are not here: they are read when one is
 * first used (plugin/secret.h). */
#ifndef MIDWATCH_CONFIG_SECRETS_H
#define MIDWATCH_CONFIG_SECRETS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define SECRET_BYTES_MIN 6              /* a shorter one could not be struck out of texts */
#define SECRET_BYTES_MAX (16 * 1024)

enum secret_from { SECRET_FILE, SECRET_ENV, SECRET_CREDENTIAL, SECRET_COMMAND };

struct secret_source {
    char *name;
    enum secret_from from;
    char *place;                /* file: its path; env: the variable; credential: its name; command: argv[0] */
    char **argv;                /* command, NULL-ended */
    char **env;                 /* command: "K=V" beside the minimal environment, NULL-ended, or NULL */
    int64_t timeout_ms;         /* command */
    char **origins;             /* "https://host:443", lower case, NULL-ended: the servers that may get it; or NULL */
    char **programs;            /* argv[0] as the command has it, NULL-ended; or NULL */
    int line, column;
};

/* Which version of a file was read. */
struct secret_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec changed;
};

/* Appends the value of a secret that needs no command, without the white space at its end. Errors say the place,
 * never the value: ERR_NOT_FOUND, ERR_DENIED (others could read or write the file), ERR_IO, ERR_LIMIT. */
int secret_read(const struct secret_source *s, struct buf *out, struct secret_stamp *stamp, struct err *e);
/* The same rules for a value from anywhere: cuts the white space at its end, refuses what is too short or long. */
int secret_check(const char *name, struct buf *value, struct err *e);
/* True if the file is not the one of the stamp any more. */
int secret_moved(const struct secret_source *s, const struct secret_stamp *stamp);
/* "file /etc/x", "environment X", "credential x", "command pass": for people. Returns out. */
const char *secret_where(const struct secret_source *s, char *out, size_t size);

#endif
