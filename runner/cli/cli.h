/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of verbs (cli.c), one file per verb, and what verbs
 * share. A verb gets its parsed options and returns the exit code of DESIGN 8. */
#ifndef MIDWATCH_CLI_CLI_H
#define MIDWATCH_CLI_CLI_H

#include "base/err.h"
#include "book/source.h"
#include "config/config.h"
#include "io/host.h"
#include "journal/journal.h"
#include "report/report.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct registry;

enum { EXIT_OK = 0, EXIT_INTERNAL = 1, EXIT_USAGE = 2, EXIT_LEFT = 5 };

/* More than an enum's int holds. */
#define FLAG_CONFIG (1ull << 0)
#define FLAG_STATE (1ull << 1)
#define FLAG_OUTPUT (1ull << 2)
#define FLAG_PARAM (1ull << 3)
#define FLAG_ALERT (1ull << 4)
#define FLAG_RELEASE (1ull << 5)
#define FLAG_FORM (1ull << 6)
#define FLAG_OUT (1ull << 7)
#define FLAG_AT (1ull << 8)
#define FLAG_REPO (1ull << 9)
#define FLAG_FROM (1ull << 10)
#define FLAG_USES (1ull << 11)
#define FLAG_LUACATS (1ull << 12)
#define FLAG_MAN (1ull << 13)
#define FLAG_MAP_FORM (1ull << 14)
#define FLAG_MAP_CHECK (1ull << 15)
#define FLAG_DIFF (1ull << 16)
#define FLAG_EACH (1ull << 17)
#define FLAG_OFF (1ull << 18)
#define FLAG_ALL (1ull << 19)
#define FLAG_CHECK (1ull << 20)
#define FLAG_AGAINST (1ull << 21)
#define FLAG_STRICT (1ull << 22)
#define FLAG_PLAN (1ull << 23)
#define FLAG_ACCURACY (1ull << 24)
#define FLAG_LAST (1ull << 25)
#define FLAG_BACKTEST_FORM (1ull << 26)
#define FLAG_TEST_FORM (1ull << 27)
#define FLAG_COVER (1ull << 28)
#define FLAG_RECORD (1ull << 29)
#define FLAG_FAULTS (1ull << 30)
#define FLAG_GENERATE (1ull << 31)
#define FLAG_AT_MOST (1ull << 32)
#define FLAG_WITHIN (1ull << 33)
/* What somebody wants to do; help shows the verbs under it. HIDDEN: for programs. */
enum cli_group { GROUP_WRITE, GROUP_RUN, GROUP_PEOPLE, GROUP_LOOK, GROUP_JOURNAL, GROUP_HERE, GROUP_HIDDEN };

struct cli {
    const char *config_file, *state_option, *alert_file, *form, *out_file, *at, *repo, *diff;
    const char *params[64];
    size_t nparams;
    const char *args[64];
    size_t nargs;
    const char *from, *uses[16];
    size_t nuses;
    const char *against, *plan_file;
    bool json, release, luacats, man, all, check, off, strict, accuracy, each;
    const char *last, *record, *at_most, *within;
    bool cover, faults, generate;
    struct config *config;          /* cli_config */
    char *state_dir;                /* cli_config */
};

/* The words of usage say what completion offers: RUNBOOK, RUN, VERB, `a|b`; other capitals are free text. */
struct verb {
    const char *name, *usage, *summary;
    uint64_t flags;                 /* options it takes */
    size_t min_args, max_args;
    int (*exec)(struct cli *c);
    enum cli_group group;
    const char *more;               /* what else one must know; "" = nothing */
};
struct option {
    const char *name;
    uint64_t flag;
    const char *value;              /* FILE, DIR, key=value, INSTANCE, RUNBOOK, a|b; NULL = it takes none */
    const char *help;
};
struct exit_code {
    int code;
    const char *meaning;
};

int cli_main(int argc, char **argv);
/* The tables (cli.c). */
const struct verb *cli_verbs(size_t *n);
const struct option *cli_options(size_t *n);
const struct exit_code *cli_exits(size_t *n);
const char *cli_group_title(enum cli_group g);
/* The verb by name; NULL after printing the nearest. */
const struct verb *cli_find_verb(const char *name);

/* parse.c: the words after the verb. 0, an exit code after printing why, or -1: --help was among them. */
int cli_parse(struct cli *c, const struct verb *v, int argc, char **argv);
/* One option with its value (NULL if it takes none). 0, or an exit code after printing why. */
int cli_take_option(struct cli *c, const struct option *o, const char *value);
/* The option of this name that v takes, or NULL. `n` bytes of word count. */
const struct option *cli_find_option(const struct verb *v, const char *word, size_t n);

/* man.c: midwatch(1) as mdoc, from the tables. */
void cli_man(struct buf *out);
/* luacats.c: the types of the language and of the faces of all instances, for editors. */
int cli_luacats(struct cli *c, struct buf *out, struct err *e);
/* What a declaration says of its answer: "number in s", "a list of { name: string }". */
void cli_add_answer(struct buf *out, const json_t *spec);
/* What a declaration says of a thing or verb, and of a field or argument of a verb; NULL: nothing. */
const char *cli_says(const json_t *declared, const char *name);
const char *cli_means(const json_t *declared, const char *verb, const char *name);
/* Calls fn for the reads, then the effects, on a thing of this kind; thing NULL: those on nothing. */
typedef void (*cli_verb_fn)(void *ctx, const char *name, const json_t *spec, bool is_read);
void cli_each_verb(const json_t *declared, const char *kind, const char *thing, cli_verb_fn fn, void *ctx);

/* generate.c: test --generate, for all args. An exit code. */
int cli_generate(struct cli *c, struct source *source, struct registry *registry);

/* describe.c: the reads and effects of an instance or a plugin, for people (-o json: as it declares them). */
int cli_describe(struct cli *c, const char *name, struct buf *out, struct err *e);

/* common.c */
/* Prints "midwatch: error" on stderr and returns the exit code for it. */
int cli_fail(const struct err *e);
/* Reads the configuration and finds the state directory. 0, or an exit code after printing why. */
int cli_config(struct cli *c);
/* The source that --at and --repo name for the runbook args[0]: NULL without them. A remote one is fetched first.
 * 0, or an exit code after printing why. */
int cli_source(struct cli *c, struct source **out);
/* run.c: the runbook args[0] out of cli_source. Owned. 0, or an exit code after printing why. */
int cli_load(struct cli *c, struct runbook **out);
/* The first alert of an Alertmanager payload as a trigger. Owned. */
int cli_alert(struct host *h, const char *file, json_t **out, struct err *e);
/* Opens the journal for reading; prints the open runs on stderr. 0, or an exit code. */
int cli_read_journal(struct cli *c, struct journal **out);
/* The run that text names (id, or the beginning of its uuid). 0, or an exit code after printing why. */
int cli_run_id(struct journal *j, const char *text, int64_t *out);
/* How many effects of the run have an outcome that nobody knows. */
size_t cli_unknown_effects(struct journal *j, int64_t run);

/* How a run stands when a command is done with it. Borrowed. */
struct standing {
    int64_t id;
    enum run_state state;
    const char *runbook, *outcome, *reason, *text;
    size_t unknown;                 /* effects */
};
/* The exit code, and for people what to do next on stderr and the last line on stdout; as_json: one object. */
int cli_conclude(const struct standing *s, bool as_json);
/* One line per open run on stderr with what to type next; nothing if there is none. `reader`: somebody else may be
 * executing one; NULL in the journal's owner. */
void cli_open_runs(struct journal *j, const struct cli *reader);
/* What the terminal on stdout can show, from its size and the environment's locale. */
struct view cli_view(void);
/* What a verb did: one line, or under -o json `facts` with that line as "text". Takes facts, which may be NULL. */
void cli_tell(const struct cli *c, json_t *facts, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* "name@host" of who runs this program. */
const char *cli_who(void);
uid_t cli_person(void);             /* that user: of root, who stands behind it */

/* The verbs */
int verb_lint(struct cli *c);
int verb_map(struct cli *c);
int verb_plan(struct cli *c);
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
int verb_backtest(struct cli *c);
int verb_replay(struct cli *c);
int verb_audit(struct cli *c);
int verb_halt(struct cli *c);
int verb_revoke(struct cli *c);
int verb_policy(struct cli *c);
int verb_report(struct cli *c);
int verb_plugin(struct cli *c);
int verb_doctor(struct cli *c);
int verb_new(struct cli *c);
int verb_watch(struct cli *c);
int verb_completion(struct cli *c);
int verb_complete(struct cli *c);
int verb_version(struct cli *c);
int verb_help(struct cli *c);

#endif
