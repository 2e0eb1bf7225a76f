/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs; it drives parsing, help, suggestions, completion and the man page. */
#include "cli/cli.h"

#include "base/str.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define COMMON (FLAG_CONFIG | FLAG_STATE)
#define SOURCE (FLAG_AT | FLAG_REPO)
#define PRINTS (COMMON | FLAG_OUTPUT)

/* In the order in which help shows them. */
static const struct verb verbs[] = {
    {"new", "NAME [--from RUNBOOK] [--uses INSTANCE]...", "write a runbook with its scenarios, to begin from",
     FLAG_CONFIG | FLAG_OUTPUT | FLAG_FROM | FLAG_USES | FLAG_LUACATS, 1, 1, verb_new, GROUP_WRITE,
     "Writes runbooks/NAME.md and runbooks/NAME.test.yaml, which pass lint and test as they are, and overwrites nothing. It "
     "uses the instances of midwatch.yaml. --from copies another runbook: one of ./runbooks, or a shipped one (high-latency)."},
    {"lint", "RUNBOOK...", "check a runbook without running it", PRINTS | SOURCE, 1, 16, verb_lint, GROUP_WRITE,
     "Touches nothing. Each finding is file:line:column and what would be right."},
    {"test", "[RUNBOOK]... [--cover] [--faults] [--generate] [--record RUN]", "run a runbook's scenarios over virtual time",
     COMMON | FLAG_TEST_FORM | FLAG_COVER | FLAG_FAULTS | FLAG_RECORD | FLAG_OUT | FLAG_GENERATE | FLAG_AT_MOST | SOURCE, 0, 16,
     verb_test, GROUP_WRITE,
     "The scenarios stand in RUNBOOK.test.yaml. Touches nothing; hours of waiting take milliseconds. --cover: each branch of the "
     "code that no scenario reaches is a line, and a failure. --faults: each scenario again with every fault (no_data, error, "
     "stale, timeout, moved, absent, cut, 409, refused, crash) at every question to the world or to people (nobody answers, can be "
     "asked, or says yes) and at every wait (the first three times): the code must not break, and what must always hold must "
     "hold. --record prints the scenario that a run of the journal was (or writes it: --out NAME.test.yaml). --generate prints a scenario for each path of the map that no scenario takes, at most "
     "20 (--at-most N), those that reach a new branch first: each was run, and ends and decides as the path does. To append them: "
     "midwatch test NAME --generate >>runbooks/NAME.test.yaml, where `scenarios:` stands last. Paths without one are named on "
     "stderr, with the reason."},
    {"backtest", "[RUN]... [RUNBOOK] [--last N] [--at REF]", "which decisions on past runs a changed runbook takes otherwise",
     COMMON | FLAG_BACKTEST_FORM | FLAG_LAST | SOURCE, 0, 64, verb_backtest, GROUP_WRITE,
     "The recorded runs answer: what was seen, what became of effects, what people said. Touches nothing, and works beside a "
     "running program. Without RUN: the last 20 live runs of RUNBOOK that have ended. same: the same causes, effects and "
     "ending. earlier, later: the same, more than 5 s apart. different: the first decision that differs, from both sources; "
     "behind an effect that differs nothing is evidence. unknown: it asks what was not looked at within 30 s (or max_age) "
     "then. Exit 0 if all are the same, 3 if one is earlier, later or different, 5 if none is, but one is unknown or could not "
     "be compared."},
    {"map", "RUNBOOK [--check] [--diff REF1..REF2]", "show all branches of a runbook's code",
     FLAG_CONFIG | FLAG_MAP_FORM | FLAG_PARAM | FLAG_MAP_CHECK | FLAG_DIFF | FLAG_EACH | FLAG_WITHIN | SOURCE, 1, 1, verb_map,
     GROUP_WRITE,
     "Follows every path of the code with values that are not known, touches nothing and loads no plugin's body. A parameter "
     "that the code branches on forks too, unless -p fixes it. --check: exit 2 for a path without an outcome, an effect that "
     "missing data leads to, a `may` that does not fit, and for everything that was not explored. An effect that only a default "
     "leads to is a warning."},
    {"plan", "RUNBOOK [-p key=value]... [--alert FILE] [--at REF] [--strict]", "show what a run would do now",
     PRINTS | FLAG_PARAM | FLAG_ALERT | FLAG_STRICT | SOURCE, 1, 1, verb_plan, GROUP_RUN,
     "Runs the code with real reads, asks policy and the targets themselves, sends nothing and writes nothing. From the first "
     "change on all ways are shown: what helps, what does not, who says no. Exit 0, or as the run would end now where it "
     "would end on every way before it changes anything (3 escalated, 4 refused). --strict: 6 for an UNKNOWN EFFECT, and for "
     "what was not explored."},
    {"run", "RUNBOOK [-p key=value]... [--alert FILE] [--at REF] [--plan FILE]", "run a runbook for real",
     PRINTS | FLAG_PARAM | FLAG_ALERT | FLAG_PLAN | SOURCE, 1, 1, verb_run, GROUP_RUN,
     "Ctrl-C asks whether to leave, go on, or cancel; a run that was left or killed is taken up again by resume. What a "
     "person must decide is asked at the terminal, and may be answered from elsewhere."},
    {"resume", "[RUN] | --all", "take a run up again where it stopped", PRINTS | FLAG_ALL, 0, 1, verb_resume, GROUP_RUN,
     "It goes on from the journal, on the very sources it started with. An effect whose outcome is unknown is read back first. "
     "--all executes every open run until all are settled; what waits takes no memory. A run that crashes the process twice at "
     "one place, or whose code contradicts its journal, is set aside (quarantined) until it is resumed by its number. While "
     "a run waits for a person the exit code says so (5, or 6 for an effect that is not known)."},
    {"watch", "[RUN]", "follow a run of another terminal, read-only", PRINTS, 0, 1, verb_watch, GROUP_RUN,
     "Prints the lines of live progress from the beginning and ends with the run, with its exit code. Ctrl-C ends the watching, "
     "never the run. Without RUN: the newest run that has not ended."},
    {"cancel", "RUN", "end a run and undo what it changed", PRINTS, 1, 1, verb_cancel, GROUP_RUN,
     "What is on its way is waited for, then undone in reverse order. A run that nobody executes is taken up to be undone."},
    {"undo", "RUN", "put back what an ended run changed", PRINTS, 1, 1, verb_undo, GROUP_RUN,
     "Says what that would be, and asks where somebody can answer. Each undo is looked at first and refused if somebody else "
     "has changed the target since."},
    {"halt", "[WHY] | --release", "stop all effects at once, or release the halt", PRINTS | FLAG_RELEASE, 0, 1, verb_halt,
     GROUP_RUN, "A file in the state directory; it works whatever state the journal is in."},
    {"revoke", "COMMIT [WHY] [--off]", "let no run change anything that is pinned to this commit", PRINTS | FLAG_OFF, 1, 2,
     verb_revoke, GROUP_RUN,
     "Also runs that are under way, and undo. COMMIT is its id or the beginning of it (7 digits at least). --off takes it back."},
    {"approve", "RUN [QUESTION]", "say yes to what a run wants approved", PRINTS, 1, 2, verb_approve, GROUP_PEOPLE, ""},
    {"deny", "RUN [QUESTION]", "say no to it", PRINTS, 1, 2, verb_deny, GROUP_PEOPLE, ""},
    {"answer", "RUN [QUESTION] CHOICE", "answer a question of a run", PRINTS, 2, 3, verb_answer, GROUP_PEOPLE, ""},
    {"settle", "RUN [EFFECT] applied|absent|release", "say what is true of an effect whose outcome is unknown", PRINTS, 2, 3,
     verb_settle, GROUP_PEOPLE,
     "Look at the target first. applied: it has happened. absent: it has not. release: nobody knows; the run ends escalated "
     "and its targets are free."},
    {"list", "[--accuracy]", "the runs of the journal, newest first", PRINTS | FLAG_ACCURACY, 0, 0, verb_list, GROUP_LOOK,
     "RUN is a number of this list or the beginning of a run's uuid."},
    {"show", "RUN", "what a run saw, decided and changed", PRINTS, 1, 1, verb_show, GROUP_LOOK, ""},
    {"report", "RUN [-o html|md|json] [--out FILE]", "the report of a run", COMMON | FLAG_FORM | FLAG_OUT, 1, 1, verb_report,
     GROUP_LOOK, "-o escalation is the evidence for whoever takes over."},
    {"replay", "[RUN] | --all", "run a run again from its journal alone, and compare", PRINTS | FLAG_ALL, 0, 1, verb_replay,
     GROUP_JOURNAL, "Touches nothing, and works beside a run that goes on. A difference means that the journal was changed or that "
     "the program contradicts it; exit 1. Exit 2 if nothing differs and some are of an abi that this program does not run."},
    {"audit", "verify|rebuild|anchor [RUN]", "does the journal say what was written to it?",
     PRINTS | FLAG_CHECK | FLAG_AGAINST | FLAG_OUT | FLAG_REPO, 1, 2, verb_audit, GROUP_JOURNAL,
     "verify follows every hash chain and names the first bad row of each run, also with one RUN alone; --against FILE says whether "
     "all that was there when the anchors of FILE were made still is, as it was. rebuild makes again what follows from the log "
     "(states, effects, locks, ...) and puts it right; --check only compares. anchor prints one line that holds the state of the "
     "journal now: keep it elsewhere; --out FILE appends it, --repo DIR makes it a git note. Exit 1 if something is wrong."},
    {"plugin", "describe|test PLUGIN", "say what a plugin looks at and changes, or try its contract",
     FLAG_CONFIG | FLAG_OUTPUT, 2, 2, verb_plugin, GROUP_HERE,
     "describe takes an instance of midwatch.yaml, a plugin's name, or the file of a program; "
     "test takes a file plugin.lua or a declaration plugin.json."},
    {"policy", "explain|on RUNBOOK [EFFECT] [TARGET]", "what policy would say now, or turn a runbook on again",
     PRINTS | FLAG_PARAM | SOURCE, 2, 4, verb_policy, GROUP_HERE,
     "explain lists every check in its order, what would refuse, until when, and what is used of budgets; exit 4 if one refuses. "
     "TARGET is without its instance: kubernetes.scale deployment/prod/api. on is for a runbook that is off because its remedies "
     "did not help (ineffective)."},
    {"doctor", "", "what is configured, reachable and permitted here", PRINTS, 0, 0, verb_doctor, GROUP_HERE,
     "Exit 2 if something fails."},
    {"completion", "bash|zsh|fish", "print what makes a shell complete these commands", 0, 1, 1, verb_completion, GROUP_HERE,
     "For bash: eval \"$(midwatch completion bash)\". For zsh, after compinit: eval \"$(midwatch completion zsh)\". For fish: "
     "midwatch completion fish | source."},
    {"version", "", "print the version", FLAG_OUTPUT, 0, 0, verb_version, GROUP_HERE, ""},
    {"help", "[VERB]", "print this, or all about one verb", FLAG_CONFIG | FLAG_OUTPUT | FLAG_MAN | FLAG_LUACATS, 0, 1, verb_help,
     GROUP_HERE, ""},
    {"complete", "WORD...", "what may come next, for the shells", 0, 0, 64, verb_complete, GROUP_HIDDEN, ""},
};

static const struct option options[] = {
    {"-p", FLAG_PARAM, "key=value", "a parameter of the runbook; repeatable"},
    {"--alert", FLAG_ALERT, "FILE", "an Alertmanager payload whose labels give parameters"},
    {"--at", FLAG_AT, "REF", "the runbook as a commit, tag or branch of its git repository has it"},
    {"--repo", FLAG_REPO, "REPO", "that repository: a path, or an ssh:// or https:// address"},
    {"--from", FLAG_FROM, "RUNBOOK", "copy this runbook and its scenarios"},
    {"--uses", FLAG_USES, "INSTANCE", "an instance of midwatch.yaml to use; repeatable"},
    {"--release", FLAG_RELEASE, NULL, "end the halt"},
    {"--off", FLAG_OFF, NULL, "take it back"},
    {"--out", FLAG_OUT, "FILE", "write it there instead of to stdout"},
    {"--luacats", FLAG_LUACATS, NULL, "the types of the language for editors: help prints them, new writes .midwatch/types.lua"},
    {"--all", FLAG_ALL, NULL, "every run of the journal"},
    {"--check", FLAG_CHECK, NULL, "compare, and write nothing"},
    {"--against", FLAG_AGAINST, "FILE", "lines of midwatch audit anchor (- is stdin)"},
    {"--man", FLAG_MAN, NULL, "print the manual page midwatch(1)"},
    {"--last", FLAG_LAST, "N", "the last N live runs of the runbook that have ended"},
    {"--cover", FLAG_COVER, NULL, "count the branches that the scenarios reach; exit 2 unless they are all"},
    {"--record", FLAG_RECORD, "RUN", "print what a recorded run saw and did, as a scenario"},
    {"--faults", FLAG_FAULTS, NULL, "let every question of every scenario fail in every way, one at a time"},
    {"--generate", FLAG_GENERATE, NULL, "print scenarios for paths that no scenario takes"},
    {"--at-most", FLAG_AT_MOST, "N", "so many of them; 20 without it"},
    {"-o", FLAG_TEST_FORM, "text|json|junit|tap", "the form of the results"},
    {"-o", FLAG_BACKTEST_FORM, "text|json|markdown", "the form of the comparison; markdown is for pull requests"},
    {"-o", FLAG_OUTPUT, "text|json", "the form of what is printed"},
    {"-o", FLAG_FORM, "md|html|json|text|escalation", "the form of the report; md without it"},
    {"-o", FLAG_MAP_FORM, "text|json|mermaid|svg|markdown", "the form of the map"},
    {"--check", FLAG_MAP_CHECK, NULL, "say what is wrong with the branches instead of showing them"},
    {"--plan", FLAG_PLAN, "FILE", "what midwatch plan -o json printed; the report says whether the run went one of its ways"},
    {"--accuracy", FLAG_ACCURACY, NULL, "of each runbook's runs with a plan, how many went as planned"},
    {"--strict", FLAG_STRICT, NULL, "exit 6 if an effect is unknown or something was not explored"},
    {"--each", FLAG_EACH, NULL, "follow each path to its end, also where another went on alike (slow)"},
    {"--within", FLAG_WITHIN, "DURATION", "how long it may compute; 20s without it. What is then not explored is said"},
    {"--diff", FLAG_DIFF, "REF1..REF2", "how decisions change from one commit to the other; REF.. = to the working tree"},
    {"--config", FLAG_CONFIG, "FILE", "the configuration (else $MIDWATCH_CONFIG, ./midwatch.yaml, ...)"},
    {"--state", FLAG_STATE, "DIR", "where the journal is"},
};

static const struct exit_code exits[] = {
    {0, "resolved or no_action"}, {1, "internal error"}, {2, "usage, invalid runbook or refused request"}, {3, "escalated"},
    {4, "refused by policy"}, {5, "not ended: left, or waiting for a person"}, {6, "the outcome of an effect is unknown"},
    {7, "cancelled"},
};

#define NVERBS (sizeof(verbs) / sizeof(verbs[0]))

const struct verb *cli_verbs(size_t *n)
{
    *n = NVERBS;
    return verbs;
}

const struct option *cli_options(size_t *n)
{
    *n = sizeof(options) / sizeof(options[0]);
    return options;
}

const struct exit_code *cli_exits(size_t *n)
{
    *n = sizeof(exits) / sizeof(exits[0]);
    return exits;
}

const char *cli_group_title(enum cli_group g)
{
    static const char *const titles[] = {"Write a runbook", "Run it", "Decide, as a person", "Look at runs", "The journal",
                                         "This machine", "For programs"};

    return titles[g];
}

const struct verb *cli_find_verb(const char *name)
{
    const char *names[NVERBS], *near;
    size_t i;

    for (i = 0; i < NVERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
        names[i] = verbs[i].name;
    }
    near = str_nearest(str_of(name), names, NVERBS);
    fprintf(stderr, "midwatch: there is no command '%.60s'%s%s%s\n", name, near ? " (did you mean '" : "", near ? near : "",
            near ? "'?)" : "; see midwatch help");
    return NULL;
}

int cli_main(int argc, char **argv)
{
    struct cli c = {0};
    const struct verb *v;
    int rc;

    setlocale(LC_ALL, "C");
    if (argc < 2) {
        verb_help(&c);
        return EXIT_USAGE;
    }
    v = cli_find_verb(strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? "help"
                      : strcmp(argv[1], "--version") == 0                          ? "version"
                                                                                   : argv[1]);
    if (!v)
        return EXIT_USAGE;
    rc = cli_parse(&c, v, argc, argv);
    if (rc < 0)
        return verb_help(&c);
    if (rc == 0)
        rc = v->exec(&c);
    config_free(c.config);
    free(c.state_dir);
    return rc;
}
