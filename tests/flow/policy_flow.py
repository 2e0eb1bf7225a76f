#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What binds several runs: cooldown, budgets, the operator's allow-list. Prints `ok - name` or `not ok - name: why`."""
import json
import pathlib
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
# pylint: disable=wrong-import-position
import stand  # noqa: E402
from cli_flow import CONFIG, FRONT, MAY, Box, book, expect  # noqa: E402


def touching(box, limits, *files, name="t.md"):
    code = "\n".join(f"remedy('touch {f}', shell.touch {{ file = '{f}' }}, {{ verify = 'applied' }})" for f in files)
    front = FRONT.replace("runbook: t", "runbook: " + name.removesuffix(".md"))
    return box.write(book(code + "\nresolve 'done'", front + MAY + f"limits: {{ {limits} }}\n"), name)


def sent(box, *files):
    missing = [f for f in files if not (box.path / f).exists()]
    return f"not sent: {missing}" if missing else None


def cooldown_cases(box):
    run = touching(box, "cooldown: 3s", "a")
    yield "the first run acts", expect(box.run("run", run, "--state", "s"), 0, r"outcome: resolved") or sent(box, "a")
    (box.path / "a").unlink()
    yield "the next one must wait", expect(box.run("run", run, "--state", "s"), 4, r"cooling_down") or \
        (None if not (box.path / "a").exists() else "it was sent")
    other = touching(box, "cooldown: 3s", "b", name="u.md")
    yield "another target need not", expect(box.run("run", other, "--state", "s"), 0) or sent(box, "b")
    stand.wait_for(lambda: box.run("run", run, "--state", "s")[0] == 0, 15)
    yield "and once it is over it acts again", sent(box, "a")
    yield "within one run there is no cooldown", expect(
        box.run("run", touching(box, "cooldown: 1h", "c", "d", name="v.md"), "--state", "s"), 0) or sent(box, "c", "d")


def budget_cases(box):
    run = touching(box, "cooldown: 0s, remedies: 2, targets: 5", "a", "b", "c")
    yield "limits.remedies", expect(box.run("run", run, "--state", "s"), 4, r"over_budget", r"2 remedies") or \
        sent(box, "a", "b") or (None if not (box.path / "c").exists() else "the third was sent")
    run = touching(box, "cooldown: 0s, remedies: 5, targets: 1", "d", "e")
    yield "limits.targets", expect(box.run("run", run, "--state", "s"), 4, r"over_budget") or sent(box, "d") or \
        (None if not (box.path / "e").exists() else "the second was sent")


def allow_cases(box):
    run = touching(box, "cooldown: 0s", "a")
    (box.path / "midwatch.yaml").write_text(CONFIG + 'allow: [ { effect: shell.touch, target: "sh:file/b*" } ]\n')
    yield "what the operator does not allow", expect(box.run("run", run, "--state", "s"), 4, r"not_allowed") or \
        (None if not (box.path / "a").exists() else "it was sent")
    run = touching(box, "cooldown: 0s", "b")
    yield "what he allows", expect(box.run("run", run, "--state", "s"), 0, r"outcome: resolved") or sent(box, "b")


def undo_cases(box):
    run = touching(box, "cooldown: 1h", "a")
    box.run("run", run, "--state", "s")
    box.run("run", box.write(book("resolve 'nothing'"), "t.md"), "--state", "s")
    yield "undo of an ended run", expect(box.run("undo", 1, "--state", "s"), 0, r"touch on sh:file/a", r"needs no undo|skipped|outcome: resolved")
    yield "undo of one that changed nothing", expect(box.run("undo", 2, "--state", "s"), 2, r"changed nothing")
    yield "undo of none", expect(box.run("undo", 9, "--state", "s"), 2, r"no run 9|9")
    yield "what needs no undo is still in place", expect(box.run("report", 1, "--state", "s"), 0, r"1 change is in place and verified\.")
    yield "and it replays", expect(box.run("replay", 3, "--state", "s"), 0, r"equal")


def absent(box, *files):
    there = [f for f in files if (box.path / f).exists()]
    return f"it was sent: {there}" if there else None


def configured(box, text):
    (box.path / "midwatch.yaml").write_text(CONFIG + text)


def run_of(box, file, state="s", name="t.md", *words):
    return box.run("run", touching(box, "cooldown: 0s", file, name=name), "--state", state, *words)


def freeze_cases(box):
    configured(box, "freezes:\n  - { name: all week, zone: Europe/Berlin, weekdays: [mon-sun], except: [free] }\n")
    yield "frozen", expect(run_of(box, "a"), 4, r"frozen: the freeze 'all week' \(.*midwatch\.yaml:\d+\) holds until") or absent(box, "a")
    yield "a runbook that is excepted", expect(run_of(box, "a", name="free.md"), 0) or sent(box, "a")
    yield "explain says that and until when", expect(box.run("policy", "explain", "t.md", "--state", "s"), 4,
                                                     r"refuses +frozen +freeze 'all week'")
    configured(box, "freezes:\n  - { name: there, zone: UTC, from: 2020-01-01, targets: ['sh:file/b*'] }\n"
               "  - { name: later, zone: UTC, from: 2099-12-24, to: 2099-12-26 }\n"
               "  - { name: past, zone: UTC, from: 2020-12-24, to: 2020-12-26 }\n")
    yield "of other targets", expect(run_of(box, "c"), 0)
    yield "of this one", expect(run_of(box, "b"), 4, r"frozen: the freeze 'there'.* until somebody ends it") or absent(box, "b")
    yield "explain of a target", expect(box.run("policy", "explain", "t.md", "shell.touch", "file/b", "--state", "s"), 4,
                                        r"refuses +frozen +freeze 'there'", r"passes +frozen +freeze 'later'.*is next from 2099-12-24T00:00",
                                        r"passes +frozen +freeze 'past' .* is over",
                                        r"passes +not_allowed")


def alert_file(box, ago, name="X"):
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago)) if ago is not None else None
    alert = {"labels": {"alertname": name}, **({"startsAt": at} if at else {})}
    (box.path / "alert.json").write_text(json.dumps({"alerts": [alert]}))
    return "alert.json"


def stale_cases(box):
    configured(box, "stale_trigger: 30m\n")
    yield "stale_trigger", expect(run_of(box, "a", "s", "t.md", "--alert", alert_file(box, 3600)), 4, r"stale_trigger: the alert began 1h") \
        or absent(box, "a")
    yield "an alert without an age", expect(run_of(box, "a", "s", "t.md", "--alert", alert_file(box, None)), 4,
                                            r"stale_trigger: the alert does not say when") or absent(box, "a")
    configured(box, LEVEL + 'stale_trigger: 30m\nallow: [{ effect: shell.set_level, target: "sh:level", n: { max: 3 } }, '
               '{ effect: shell.set_level, target: "sh:level", n: { max: 9 } }]\n')
    (box.path / "level").write_text("3")
    box.write(STACKED)
    yield "what one entry permits and another does not, is not stale", expect(
        box.run("run", "t.md", "--state", "s", "--alert", alert_file(box, 60)), 0, r"outcome: resolved")
    configured(box, "stale_trigger: 30m\n")
    yield "a young one", expect(run_of(box, "a", "s", "t.md", "--alert", alert_file(box, 60)), 0) or sent(box, "a")


def flapping_cases(box):
    configured(box, "flapping: { episodes: 3, per: 1h }\n")

    def fired(file, ago, name="X"):
        return run_of(box, file, "s", "t.md", "--alert", alert_file(box, ago, name))
    yield "an alert that begins for the first time", expect(fired("a", 3000), 0) or sent(box, "a")
    again = ["--alert", alert_file(box, 2000)]
    yield "one episode, twice", expect(run_of(box, "b", "s", "t.md", *again), 0) or expect(run_of(box, "c", "s", "t.md", *again), 0)
    yield "flapping", expect(fired("d", 100), 4, r"flapping: the alert began 3 times within 1h") or absent(box, "d")
    yield "another alert", expect(fired("e", 100, "Y"), 0) or sent(box, "e")
    yield "by hand", expect(run_of(box, "d"), 0) or sent(box, "d")
    yield "it replays", expect(box.run("replay", "--all", "--state", "s"), 0, r"6 runs equal")
    yield "explain", expect(box.run("policy", "explain", "t.md", "--state", "s"), 0,
                            r"depends +flapping +an alert that began 3 times within 1h changes nothing")
    configured(box, "flapping: { episodes: 3, per: 1s }\n")
    time.sleep(1.1)
    yield "not in so short a time", expect(fired("f", 50), 0) or sent(box, "f")
    configured(box, "")
    yield "nobody asks", expect(fired("g", 40), 0) and sent(box, "g")
    configured(box, "flapping: { episodes: 3 }\n")
    yield "half a rule", expect(fired("h", 40), 2, r"midwatch.yaml:\d+:\d+: flapping must be a map like")


def window_cases(box):
    configured(box, "budgets:\n  - { effects: 2, per: 4s }\n")
    yield "two effects of any run", expect(run_of(box, "a"), 0) or expect(run_of(box, "b", name="u.md"), 0)
    yield "over_budget", expect(run_of(box, "c"), 4, r"over_budget: .*midwatch policy explain t") or absent(box, "c")
    yield "explain counts them", expect(box.run("policy", "explain", "t.md", "--state", "s"), 4,
                                        r"refuses +over_budget +\S+midwatch\.yaml:\d+: 2 of 2 effects in 4s are used; the next is free at")
    time.sleep(4)
    yield "and its time goes by", expect(run_of(box, "c"), 0) or sent(box, "c")
    configured(box, 'budgets:\n  - { effects: 1, per: 1h, runbook: "*" }\n')
    yield "each runbook by itself", expect(run_of(box, "d", "s2"), 0) or expect(run_of(box, "d", "s2", "u.md"), 0) or \
        expect(run_of(box, "d", "s2"), 4, r"over_budget")
    configured(box, "budgets:\n  - { effects: 2, per: 1h, runbooks: ['db-*', t] }\n")
    yield "a team's runbooks together", expect(run_of(box, "g", "s4", "db-a.md"), 0) or expect(run_of(box, "h", "s4"), 0) or \
        expect(run_of(box, "i", "s4", "db-b.md"), 4, r"over_budget") or absent(box, "i")
    yield "and not another's", expect(run_of(box, "i", "s4", "u.md"), 0)
    yield "explain of a team", expect(box.run("policy", "explain", "t.md", "--state", "s4"), 4, r"2 of 2 effects in 1h are used by these runbooks")
    configured(box, "budgets:\n  - { effects: 2, per: 1h, runbook: t, runbooks: [t] }\n")
    yield "both", expect(run_of(box, "i", "s4"), 2, r"midwatch.yaml:\d+:\d+: runbooks are bounded together")
    configured(box, 'budgets:\n  - { percent: 25, of: 7, per: 1h, target: "sh:file/*" }\n')
    yield "a share of a population, rounded down", expect(run_of(box, "e", "s3"), 0) or expect(run_of(box, "e", "s3"), 0) or \
        expect(run_of(box, "f", "s3"), 4, r"over_budget") or absent(box, "f")


def breaker_cases(box):
    configured(box, "ineffective: 2\n")
    bad = box.write(book("remedy('no help', shell.touch { file = 'a' }, { verify = function() return false end, within = '1s', "
                         "every = '1s' })", FRONT.replace("runbook: t", "runbook: bad") + MAY + "limits: { cooldown: 0s }\n"), "bad.md")

    def again():
        return box.run("run", bad, "--state", "s")
    yield "two remedies that do not help", expect(again(), 3, r"unverified") or expect(again(), 3, r"unverified")
    (box.path / "a").unlink(missing_ok=True)
    yield "ineffective", expect(again(), 4, r"ineffective: 2 remedies of bad in a row did not help.*midwatch policy on bad") or absent(box, "a")
    yield "explain", expect(box.run("policy", "explain", "bad.md", "--state", "s"), 4, r"refuses +ineffective +2 remedies in a row")
    yield "another runbook may", expect(run_of(box, "b"), 0)
    yield "a person turns it on", expect(box.run("policy", "on", "bad", "--state", "s"), 0, r"bad is on again, by \S+@")
    yield "then it may", expect(again(), 3, r"unverified") or sent(box, "a")
    thrice = box.write(book("for _, f in ipairs { 'c', 'd', 'e' } do remedy('no help', shell.touch { file = f }, { verify = function() "
                            "return false end, within = '1s', every = '1s', on_failure = 'continue' }) end resolve 'x'",
                            FRONT.replace("runbook: t", "runbook: thrice") + MAY), "thrice.md")
    yield "within one run too", expect(box.run("run", thrice, "--state", "s"), 4, r"ineffective: 2 remedies of thrice") or \
        sent(box, "c", "d") or absent(box, "e")
    yield "one that is not off", expect(box.run("policy", "on", "t", "--state", "s"), 2, r"'t' is not off")


def git(box, *words):
    return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words], cwd=box.path, check=True,
                          capture_output=True, text=True).stdout.strip()


def revoke_cases(box):
    touching(box, "cooldown: 0s", "a")
    waiting = FRONT.replace("runbook: t", "runbook: w") + MAY + "limits: { cooldown: 0s }\n"
    box.write(book("note 'begun' sleep '3s' remedy('touch', shell.touch { file = 'b' }, { verify = 'applied' }) resolve 'done'", waiting), "w.md")
    git(box, "init", "-q")
    git(box, "add", "t.md", "w.md")
    git(box, "commit", "-qm", "x")
    commit = git(box, "rev-parse", "HEAD")
    yield "a run of a commit", expect(box.run("run", "t.md", "--state", "s"), 0) or sent(box, "a")
    (box.path / "a").unlink()
    p = box.start("run", "w.md", "--state", "s")
    stand.wait_for((box.path / "s" / "owner.sock").exists)
    time.sleep(0.5)
    yield "revoke through the owner", expect(box.run("revoke", commit[:10], "it is wrong", "--state", "s"), 0, r"is revoked by \S+@")
    out, err = p.communicate(timeout=stand.patience(30))
    yield "a run under way changes nothing more", expect((p.returncode, out, err), 4, r"revoked: commit " + commit[:12]) or absent(box, "b")
    yield "nor does a new one", expect(box.run("run", "t.md", "--state", "s"), 4, r"revoked") or absent(box, "a")
    yield "explain", expect(box.run("policy", "explain", "t.md", "--state", "s"), 4, r"refuses +revoked .*it is wrong")
    yield "not a commit", expect(box.run("revoke", "main", "--state", "s"), 2, r"'main' is no commit") or \
        expect(box.run("revoke", "12345", "--state", "s"), 2, r"at least 7")
    yield "what is not revoked", expect(box.run("revoke", "0123456", "--off", "--state", "s"), 2, r"not revoked")
    yield "taken back", expect(box.run("revoke", commit[:10], "--off", "--state", "s"), 0, r"not revoked any more")
    yield "then it may", expect(box.run("run", "t.md", "--state", "s"), 0) or sent(box, "a")


def busy_cases(box):
    lost = box.write(book("remedy('lose', shell.lost { file = 'a' }, { verify = 'applied' }) resolve 'x'",
                          FRONT.replace("runbook: t", "runbook: lost") + MAY), "lost.md")
    yield "what became of an effect is not known", expect(box.run("run", lost, "--state", "s"), 6, r"unknown")
    (box.path / "a").unlink()
    yield "target_busy", expect(run_of(box, "a"), 4, r"target_busy: run 1 holds sh:file/a: see midwatch show 1") or absent(box, "a")
    yield "a person breaks the lock by name", expect(box.run("settle", 1, "release", "--state", "s"), 0, r"released") or \
        expect(box.run("show", 1, "--state", "s"), 0, r"released by \S+@")
    yield "then another run may, under a higher fence", expect(run_of(box, "a"), 0) or sent(box, "a") or \
        (None if fence(box) == 2 else f"the fence is {fence(box)}")


def fence(box):
    with sqlite3.connect(box.path / "s" / "journal.db") as db:
        return db.execute("select fence from lock where target = 'sh:file/a'").fetchone()[0]


LATE = """\
  late: { argv: [sh, -c, "echo x >>tries.$1; test -e off || exec sleep 9; touch $1", sh, "{{file}}"], timeout: 500ms,
          params: { file: { type: string, match: "[a-z0-9]+" } },
          effect: { class: ensure, target: "file/{{file}}", check: look, undo: not needed } }
"""
# What is configured when it is known that the first try did not arrive, and what that then is.
AGAIN = {"a": ("freezes: [{ name: f, zone: UTC, from: 2020-01-01 }]\n", 4, r"REFUSED, frozen"),
         "b": ('allow: [{ effect: shell.touch, target: "sh:file/b" }]\n', 4, r"REFUSED, not_allowed"), "c": ("", 0, r"attempt 2")}


def again_cases(box):
    """What did not arrive is sent again only if policy permits it then: the first try was before the freeze."""
    resumed = {}
    configured(box, LATE)
    for file in AGAIN:
        box.write(book(f"remedy('it', shell.late {{ file = '{file}' }}, {{ verify = 'applied' }}) resolve 'done'",
                       FRONT + 'may:\n  - { effect: shell.late, target: "file/*", at_most: 3 }\nlimits: { cooldown: 0s }\n'))
        p = box.start("run", "t.md", "--state", "s" + file)
        stand.wait_for((box.path / ("tries." + file)).exists)
        p.kill()
        p.communicate()
    (box.path / "off").touch()
    for file, (more, _, _) in AGAIN.items():
        (box.path / (file + ".yaml")).write_text(CONFIG + LATE + more)
        resumed[file] = box.start("resume", 1, "--state", "s" + file, "--config", file + ".yaml")
    for file, (_, code, said) in AGAIN.items():
        out, err = resumed[file].communicate(timeout=stand.patience(60))
        tries = len((box.path / ("tries." + file)).read_text().split())
        yield f"it did not arrive, and then: {said}", expect((resumed[file].returncode, out, err), code, r"read back: absent", said) or \
            (sent(box, file) if code == 0 else absent(box, file)) or (None if tries == 1 + (code == 0) else f"{tries} tries") or \
            expect(box.run("replay", 1, "--state", "s" + file), 0, r"equal")


def at_most_cases(box):
    may = 'may:\n  - { effect: shell.work, target: "file/*", at_most: 1 }\nlimits: { cooldown: 0s }\n'
    both = box.write(book("local function r(f) return function() remedy('work ' .. f, shell.work { file = f }, { verify = 'applied' }) end end\n"
                          "parallel { r('a'), r('b') } resolve 'x'", FRONT + may))
    yield "at_most holds between parallel branches", expect(box.run("run", both, "--state", "s"), 4, r"not_allowed: .*at_most") or \
        (None if (box.path / "a").exists() != (box.path / "b").exists() else "both or none were sent")


def order_cases(box):
    """Every refusal that several rules would give has the name that comes first in the order."""
    configured(box, "freezes: [{ name: f, zone: UTC, from: 2020-01-01 }]\nstale_trigger: 1m\nbudgets: [{ effects: 1, per: 1h }]\n"
               'allow: [{ effect: "shell.touch", target: "sh:file/a*" }]\n')
    old = alert_file(box, 3600)
    yield "not_allowed before frozen", expect(run_of(box, "b", "s", "t.md", "--alert", old), 4, r"not_allowed")
    yield "frozen before stale_trigger", expect(run_of(box, "a", "s", "t.md", "--alert", old), 4, r"frozen")
    box.run("halt", "--state", "s")
    yield "halted before all", expect(run_of(box, "a", "s", "t.md", "--alert", old), 4, r"halted")
    box.run("halt", "--release", "--state", "s")
    configured(box, "stale_trigger: 1m\nbudgets: [{ effects: 1, per: 1h }]\n")
    yield "then one may", expect(run_of(box, "a"), 0)
    (box.path / "a").unlink()
    yield "stale_trigger before over_budget", expect(run_of(box, "a", "s", "t.md", "--alert", old), 4, r"stale_trigger")
    run = box.write(book("remedy('t', shell.touch { file = 'a' }, { verify = function() return true end, "
                         "when = function() return observe(shell.number { n = 1 }) > known end })",
                         FRONT + MAY + "limits: { cooldown: 0s }\n"))
    yield "an error in a condition sends nothing", expect(box.run("run", run, "--state", "s"), 3, r"error") or absent(box, "a")
    blind = box.write(book("remedy('t', shell.touch { file = 'a' }, { verify = 'applied', when = function() "
                           "return observe(shell.blind {}) > 1 end })", FRONT + MAY + "limits: { cooldown: 0s }\n"))
    (box.path / "midwatch.yaml").write_text(CONFIG + "  blind: { argv: ['false'], read: { returns: number } }\n")
    yield "no_data", expect(box.run("run", blind, "--state", "s"), 3, r"no_data") or absent(box, "a")
    need = box.write(book("remedy('t', shell.touch { file = 'a' }, { verify = 'applied', approve = true })", FRONT + MAY))
    yield "needs_approval with nobody there", expect(box.run("run", need, "--state", "s", stdin=subprocess.DEVNULL), 4, r"needs_approval") or \
        absent(box, "a")


ORDER = ["halted", "revoked", "not_allowed", "frozen", "stale_trigger", "no_data", "target_busy", "cooling_down", "over_budget",
         "ineffective", "flapping", "needs_approval"]
RULES = {"not_allowed": 'allow: [{ effect: shell.touch, target: "sh:file/x" }]\n',
         "frozen": "freezes: [{ name: f, zone: UTC, from: 2020-01-01 }]\n", "stale_trigger": "stale_trigger: 30m\n",
         "over_budget": "budgets: [{ effects: 1, per: 1h }]\n", "ineffective": "ineffective: 1\n",
         "flapping": "flapping: { episodes: 2, per: 1h }\n"}
LEVEL = """\
  level: { argv: [sh, -c, "! test -e blind && cat level"], read: { returns: integer } }
  blind: { argv: [touch, blind], read: true }
  set_level: { argv: [sh, -c, "echo $1 >level", sh, "{{n}}"], params: { n: { type: integer } },
               effect: { class: ensure, target: level, state: level, sets: n } }
"""
STACKED = book("remedy('raise', shell.set_level { n = 8 }, { verify = 'applied', approve = params.ask, when = function() "
               "if params.blind then observe(shell.blind {}) end return true end }) resolve 'done'",
               FRONT + "params: { ask: { type: boolean, default: false }, blind: { type: boolean, default: false } }\n"
               "may: [{ effect: shell.set_level, target: level }]\n")


def edit(box, text):
    with sqlite3.connect(box.path / "s" / "journal.db") as db:
        db.execute(text)
    db.close()


def reason(got):
    try:
        return json.loads(got[1].splitlines()[-1])["reason"] + f", exit {got[0]}"
    except (ValueError, IndexError, KeyError):
        return str(got)


def stacked_runs(box, commit):
    """What is said while all from ORDER[i] on stands in the way, for every i: so each comes before all behind it. Yields the name
    that must come, whether people are asked, what explain says first, and what the run said."""
    for i, name in enumerate(ORDER):
        if name == "revoked":
            (box.path / "s" / "halt").unlink()
            yield "halted", False, *stacked(box, ORDER[i:], 90, "")
            box.run("halt", "--release", "--state", "s")
        if name == "not_allowed":
            box.run("revoke", commit, "--off", "--state", "s")
        if name == "cooling_down":
            edit(box, "update lock set run = 0 where target = 'sh:level'")
        if name == "over_budget":
            edit(box, "update lock set cool_until = 0 where target = 'sh:level'")
        for ask in ("ask", ""):
            if name != "no_data" or not ask:
                yield name, bool(ask), *stacked(box, ORDER[i:], 2 * i, ask)


def stacked(box, standing, n, ask):
    configured(box, LEVEL + "".join(RULES.get(name, "") for name in standing))
    (box.path / "blind").unlink(missing_ok=True)
    alert = alert_file(box, 2400 + 60 * n + len(ask))
    checks = json.loads(box.run("policy", "explain", "t.md", "shell.set_level", "level", "--state", "s", "-o", "json")[1])
    said = box.run("run", "t.md", "--state", "s", "--alert", alert, "-p", f"blind={str('no_data' in standing and not ask).lower()}",
                   "-p", f"ask={str('needs_approval' in standing and bool(ask)).lower()}", "-o", "json", stdin=subprocess.DEVNULL)
    return next((c["check"] for c in checks if c["verdict"] == "refuses"), None), said


def refused_undo_cases(box, commit):
    """What that run changed is not put back either while halt, revoke or another run's lock stands in the way."""
    configured(box, LEVEL)
    run = json.loads(box.run("list", "-o", "json", "--state", "s")[1])[0]["id"]

    def undone(name):
        return expect(box.run("undo", run, "--state", "s"), 4, rf"REFUSED, {name}", r"could NOT be undone") or \
            (None if (box.path / "level").read_text() == "8\n" else "it was undone")
    (box.path / "level").write_text("5\n")
    yield "what has moved is shown, and stays", expect(box.run("undo", run, "--state", "s"), 3, r"set_level on sh:level .*MOVED",
                                                       r"n: 5, the run left 8", r"could NOT be undone") or \
        (None if (box.path / "level").read_text() == "5\n" else "it was undone")
    (box.path / "level").unlink()
    yield "so is what cannot be looked at", expect(box.run("undo", run, "--state", "s"), 3, r"it cannot be told what is there now", r"n: 8 -> 3")
    (box.path / "level").write_text("8\n")
    box.run("halt", "--state", "s")
    yield "no undo while halted", undone("halted")
    (box.path / "s" / "halt").unlink()
    yield "nor by the journal's row alone", undone("halted")
    box.run("halt", "--release", "--state", "s")
    box.run("revoke", commit, "--state", "s")
    yield "no undo by what is revoked", undone("revoked")
    box.run("revoke", commit, "--off", "--state", "s")
    edit(box, "update lock set run = 1 where target = 'sh:level'")
    yield "no undo of what another run holds", undone("target_busy")
    edit(box, "update lock set run = 0 where target = 'sh:level'")
    yield "what no undo has put back is in place", expect(box.run("report", run, "--state", "s"), 0, r"1 change is in place and verified\.")
    yield "then it is undone, as it says before", expect(box.run("undo", run, "--state", "s"), 0, r"n: 8 -> 3") or \
        (None if (box.path / "level").read_text() == "3\n" else "it was not undone")
    undo = json.loads(box.run("list", "-o", "json", "--state", "s")[1])[0]["id"]
    by = rf"put back by run {undo}\b"
    for form, said in (("md", rf"{by} \(call"), ("html", rf"<h2>Undone</h2>.*<b>{by}"), ("text", rf"effect .*: {by}"),
                       ("json", rf'"put_back_by":{undo},'), ("escalation", by)):
        got = box.run("report", run, "-o", form, "--state", "s")
        yield f"and report -o {form} says so of that run", expect((got[0], got[1].replace("\n", " "), got[2]), 0, said) or \
            (f"it says that it is there: {got[1]}" if "in place" in got[1] else None)


def stack_cases(box):
    """Everything stands in the way at once; then, one after the other, the first is taken away."""
    (box.path / "level").write_text("3")
    box.write(STACKED)
    git(box, "init", "-q")
    git(box, "add", "t.md")
    git(box, "commit", "-qm", "x")
    commit = git(box, "rev-parse", "HEAD")
    yield "an effect that counts", expect(run_of(box, "x", name="x.md"), 0)
    edit(box, "insert into lock (target, run, fence, cool_until, cool_run) values ('sh:level', 1, 1, 9000000000000, 1)")
    edit(box, "insert into breaker (runbook, failures) values ('t', 1)")
    box.run("revoke", commit, "--state", "s")
    box.run("halt", "--state", "s")
    for name, ask, explained, got in stacked_runs(box, commit):
        want = f"{name}, exit {3 if name == 'no_data' else 4}"
        if name != "needs_approval" or ask:
            yield f"{name} comes before what is behind it{', and people are not asked' if ask else ''}", \
                None if reason(got) == want else f"{reason(got)} instead of {want}"
        unsaid = ("stale_trigger", "no_data", "flapping", "needs_approval")     # no run: no alert, no look, nobody to ask
        first = next((x for x in ORDER[ORDER.index(name):] if x not in unsaid), None)
        yield f"explain says {first}", None if explained == first else f"it says {explained}"
    yield "then it is sent", None if (box.path / "level").read_text() == "8\n" else "it was not sent"
    yield from refused_undo_cases(box, commit)
    yield "it replays", expect(box.run("replay", "--all", "--state", "s"), 0, r"equal")
    configured(box, "")
    edit(box, "insert into lock (target, run, fence, cool_until, cool_run) values ('sh:file/b', 1, 1, 0, 0)")
    yield "target_busy before limits.remedies", expect(box.run("run", touching(box, "remedies: 1", "a", "b"), "--state", "s"), 4,
                                                       r"target_busy: run 1 holds sh:file/b") or absent(box, "b")


GROUPS = {"again": again_cases, "freeze": freeze_cases, "stale": stale_cases, "flapping": flapping_cases, "window": window_cases, "breaker": breaker_cases, "revoke": revoke_cases,
          "busy": busy_cases, "at_most": at_most_cases, "order": order_cases, "stack": stack_cases, "undo": undo_cases, "cooldown": cooldown_cases, "budget": budget_cases, "allow": allow_cases}


def cases(program, scratch, only):
    for group, of in GROUPS.items():
        if only in group:
            yield from of(Box(program, scratch / group))


if __name__ == "__main__":
    stand.main(__doc__, cases)
