/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of verbs (cli.c), one file per verb, and what verbs
 * share. A verb gets its parsed options and returns the exit code of DESIGN 8. */
#ifndef MIDWATCH_CLI_CLI_H
#define MIDWATCH_CLI_CLI_H

#include "base/err.h"
#include "book/source.h"
#include "config/config.h"
#include "journal/journal.h"
#include "report/report.h"

#include <stdbool.h>

enum { EXIT_OK = 0, EXIT_INTERNAL = 1, EXIT_USAGE = 2 };

enum cli_flag {
    FLAG_CONFIG = 1, FLAG_STATE = 2, FLAG_OUTPUT = 4, FLAG_PARAM = 8, FLAG_ALERT = 16, FLAG_RELEASE = 32,
    FLAG_FORM = 64, FLAG_OUT = 128, FLAG_AT = 256, FLAG_REPO = 512,
};

struct cli {
    const char *config_file, *state_option, *alert_file, *form, *out_file, *at, *repo;
    const char *params[64];
    size_t nparams;
    const char *args[16];
    size_t nargs;
    bool json, release;
    struct config *config;          /* cli_config */
    char *state_dir;                /* cli_config */
};

struct verb {
    const char *name, *usage, *summary;
    unsigned flags;                 /* options it takes */
    size_t min_args, max_args;
    int (*exec)(struct cli *c);
};

int cli_main(int argc, char **argv);
const struct verb *cli_verbs(size_t *n);

/* common.c */
/* Prints "midwatch: error" on stderr and returns the exit code for it. */
int cli_fail(const struct err *e);
/* Reads the configuration and finds the state directory. 0, or an exit code after printing why. */
int cli_config(struct cli *c);
/* The source that --at and --repo name for the runbook args[0]: NULL without them. A remote one is fetched first.
 * 0, or an exit code after printing why. */
int cli_source(struct cli *c, struct source **out);
/* Opens the journal for reading; prints the open runs on stderr. 0, or an exit code. */
int cli_read_journal(struct cli *c, struct journal **out);
/* The run that text names (id, or the beginning of its uuid). 0, or an exit code after printing why. */
int cli_run_id(struct journal *j, const char *text, int64_t *out);
/* One line per open run with what to type next; nothing if there is none. */
void cli_open_runs(struct journal *j, int64_t but);
/* What the terminal on stdout can show, from its size and the environment's locale. */
struct view cli_view(void);
/* "name@host" of who runs this program. */
const char *cli_who(void);

/* The verbs */
int verb_lint(struct cli *c);
int verb_run(struct cli *c);
int verb_resume(struct cli *c);
int verb_settle(struct cli *c);
int verb_approve(struct cli *c);
int verb_cancel(struct cli *c);
int verb_undo(struct cli *c);
int verb_deny(struct cli *c);
int verb_answer(struct cli *c);
int verb_list(struct cli *c);
int verb_show(struct cli *c);
int verb_test(struct cli *c);
int verb_replay(struct cli *c);
int verb_halt(struct cli *c);
int verb_report(struct cli *c);
int verb_plugin(struct cli *c);
int verb_doctor(struct cli *c);
int verb_version(struct cli *c);
int verb_help(struct cli *c);

#endif
