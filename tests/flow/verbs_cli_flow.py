#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a newcomer meets: help, new, watch, completion in real shells, the man page, types for editors, -o json, and
messages that name the next command.

Prints `ok - name` or `not ok - name: why` per case."""
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import cli_flow  # noqa: E402
import stand  # noqa: E402
from cli_flow import FRONT, MAY, ROOT, book, expect, read_until  # noqa: E402

CLUSTER = "prod-eu: { plugin: kubernetes, kubeconfig: /nowhere }, prod-us: { plugin: kubernetes, kubeconfig: /nowhere }"
METRICS = 'metrics: { plugin: prometheus, url: "http://127.0.0.1:1" }'


def verbs(box):
    return json.loads(box.run("help", "-o", "json")[1])


def equal(got, wanted):
    return None if got == wanted else f"{got!r} instead of {wanted!r}"


def help_cases(box):
    _, text, _ = box.run("help")
    all_verbs = verbs(box)
    for verb in all_verbs:
        name = verb["name"]
        yield f"help lists {name}", equal(len(re.findall(rf"^  {name} +\S", text, re.M)), 1)
        got = box.run("help", name)
        yield f"help {name}", expect(got, 0, re.escape(f"usage: midwatch {name} {verb['usage']}".strip())) or \
            next((f"no {o['name']}" for o in verb["options"] if f"\n  {o['name']}" not in got[1]), None)
        yield f"{name} --help", equal(box.run(name, "--help")[1], got[1])
    titles = list(dict.fromkeys(v["group"] for v in all_verbs))
    yield "help groups the verbs", equal([line for line in text.split("\n") if line in titles], titles)
    readme = "\n".join(re.findall(r"^    midwatch .*", (ROOT / "README.md").read_text(), re.M))
    yield "the README knows every verb", equal([v["name"] for v in all_verbs if not re.search(rf"[h|] +{v['name']}\b", readme)], [])
    _, man, _ = box.run("help", "--man")
    yield "the man page has every option", equal(
        [o["name"] for v in all_verbs for o in v["options"] if f'.It Fl "{o["name"][1:]}"'.replace("-", "\\-") not in man], [])
    yield "the build writes the man page", equal((box.program.parent / "midwatch.1").read_text(), man)
    page = box.write(man, "midwatch.1")
    if shutil.which("mandoc"):
        p = subprocess.run(["mandoc", "-T", "lint", box.path / page], capture_output=True, text=True, check=False)
        yield "mandoc -T lint", equal(p.stdout + p.stderr, "")
    if shutil.which("man"):
        p = subprocess.run(["man", "-l", box.path / page], capture_output=True, text=True, check=False,
                           env={**os.environ, "MANPAGER": "cat", "MANWIDTH": "100"})
        yield "man -l", expect((p.returncode, p.stdout, p.stderr), 0, "midwatch . executes runbooks", "settle", "EXIT STATUS") or \
            equal(p.stderr, "")


def new_cases(box):
    def passes(name, at):
        return expect(box.run("test", name, cwd_in=at), 0, " 0 failed") or \
            expect(box.run("lint", name, cwd_in=at), 0, "nothing to complain")

    for name, instances, uses in (("nothing", None, "kubernetes: kubernetes, prometheus: prometheus"),
                                  ("both", f"{METRICS}, {CLUSTER}", "kubernetes: prod-eu, prometheus: metrics"),
                                  ("cluster", CLUSTER, "kubernetes: prod-eu"), ("metrics", METRICS, "prometheus: metrics"),
                                  ("shell", "sh: { plugin: shell }", None)):
        at = box.path / name
        at.mkdir()
        if instances:
            (at / "midwatch.yaml").write_text(f"instances: {{ {instances} }}\n")
        yield f"new where there is {name}", expect(box.run("new", "web-down", cwd_in=at), 0, "midwatch test web-down")
        text = (at / "runbooks/web-down.md").read_text()
        yield f"new where there is {name}: passes", passes("web-down", at)
        yield f"new where there is {name}: uses", None if uses is None or f"uses: {{ {uses} }}" in text else text
        yield f"new where there is {name}: a name of its own", None if "# Web down\n" in text and "my-runbook" not in text and \
            "alertname: WebDown" in text and len(text.split("\n")) <= 52 else text
    at = box.path / "both"
    before = (at / "runbooks/web-down.md").read_text()
    yield "new overwrites nothing", expect(box.run("new", "web-down", cwd_in=at), 2, "there already") or \
        equal((at / "runbooks/web-down.md").read_text(), before)
    (at / "runbooks/half.test.yaml").write_text("mine\n")
    yield "new overwrites no scenarios", expect(box.run("new", "half", cwd_in=at), 2, r"half\.test\.yaml") or \
        equal(((at / "runbooks/half.md").exists(), (at / "runbooks/half.test.yaml").read_text()), (False, "mine\n"))
    yield "new --uses", expect(box.run("new", "us", "--uses", "prod-us", cwd_in=at), 0) or passes("us", at) or \
        (None if "uses: { kubernetes: prod-us }" in (at / "runbooks/us.md").read_text() else "another instance")
    yield "new --from a shipped one", expect(box.run("new", "copy", "--from", "high-latency", "-o", "json", cwd_in=at), 0,
                                             '"from":"runbooks/high-latency.md"') or passes("copy", at)
    yield "new --from one of ./runbooks", expect(box.run("new", "again", "--from", "us", cwd_in=at), 0) or passes("again", at)
    (at / "runbooks/bare.md").write_text(book("resolve 'x'", "---\nrunbook: bare\nsummary: s\n"))
    chosen = "---\nrunbook: chosen\nsummary: s\nparams: { c: { type: string, one_of: [prod-eu, prod-us] } }\n" \
        "uses: { kubernetes: \"{{c}}\" }  # which\n"
    (at / "runbooks/chosen.md").write_text(book("resolve 'x'", chosen))
    (at / "runbooks/chosen.test.yaml").write_text("scenarios:\n  - { name: x, params: { c: prod-eu }, expect: { outcome: resolved } }\n")
    yield "new --from one whose instance is a parameter", expect(box.run("new", "chosen2", "--from", "chosen", cwd_in=at), 0) or \
        passes("chosen2", at) or equal((at / "runbooks/chosen2.md").read_text(), book("resolve 'x'", chosen.replace(": chosen", ": chosen2")))
    for words, pattern in ((["Web"], "is no name"), (["../x"], "is no name"), (["-"], "is no name"), (["x.md"], "wants a name"),
                           (["x", "--from", "high-latncy"], "did you mean 'high-latency'"),
                           (["x", "--from", "zzzzzzzzz"], "shipped are .*high-latency"),
                           (["x", "--from", "bare"], r"bare\.test\.yaml: there is no scenario file.*write them first"),
                           (["x", "--uses", "metric"], "did you mean 'metrics'")):
        yield "new " + " ".join(words), expect(box.run("new", *words, cwd_in=at), 2, pattern)
    yield "new leaves nothing behind", equal([p.name for p in (at / "runbooks").glob("x*")], [])
    yield "a copy that does not fit says so", expect(box.run("new", "odd", "--from", "high-latency", cwd_in=box.path / "shell"), 0,
                                                     "to be adapted", r"odd\.md:\d+:\d+")


def language_names():
    """What lua/language.lua publishes, from its text."""
    text = (ROOT / "lua/language.lua").read_text()
    names = set(re.findall(r"^globals\.(\w+)", text, re.M))
    for entry in re.findall(r"^local globals = \{(.*?)^\}", text, re.M | re.S):
        names |= set(re.findall(r"(\w+) = (?:prelude|function|host)", entry))
    for group in re.findall(r"= \{ ((?:\"\w+\",? ?)+)\}", text):
        names |= set(re.findall(r'"(\w+)"', group))
    return names | set(re.findall(r"^function verbs\.(\w+)", (ROOT / "lua/ending.lua").read_text(), re.M))


def luacats_cases(box):
    (box.path / "midwatch.yaml").write_text(cli_flow.CONFIG.replace(", typo: { plugin: shel }", f", {CLUSTER}, {METRICS}"))
    yield "new --luacats", expect(box.run("new", "a", "--luacats"), 0, r"\.midwatch/types\.lua")
    file = box.path / ".midwatch/types.lua"
    text = file.read_text()
    yield "help --luacats prints the same", equal(box.run("help", "--luacats")[1], text)
    compiler = shutil.which("luac5.4") or shutil.which("luac")
    if compiler:
        p = subprocess.run([compiler, "-p", file], capture_output=True, text=True, check=False)
        yield "the types are Lua", equal(p.stderr, "")
    given = set(re.findall(r"^function (\w+)\(", text, re.M)) | set(re.findall(r"^(\w+) = (?:\{\}|nil)$", text, re.M))
    yield "the types know the whole language and no more", equal(
        sorted(given ^ (language_names() | {"kubernetes", "prometheus", "shell"})), [])
    for module, of in (("remedy", "RemedyOptions"), ("approve", "ApproveOptions")):
        known = re.search(r"^local known = \{(.*?)\}", (ROOT / f"lua/{module}.lua").read_text(), re.M | re.S).group(1)
        block = re.search(rf"---@class midwatch\.{of}\n((?:---@field.*\n)*)", text).group(1)
        yield f"the types of {module}'s options", equal(sorted(re.findall(r"---@field (\w+)", block)), sorted(re.findall(r"\w+", known)))
    for module in ("list", "text"):
        has = re.findall(rf"^function {module}\.(\w+)", (ROOT / f"lua/{module}.lua").read_text(), re.M)
        block = re.search(rf"---@class midwatch\.{module}\n((?:---@field.*\n)*)", text).group(1)
        yield f"the types of {module}", equal(sorted(re.findall(r"---@field (\w+)", block)), sorted(has))
    for fields, of in ((("hello", "number", "touch"), "shell"), (("value", "quantile"), "prometheus"),
                       (("deployment", "statefulset"), "kubernetes"), (("scale", "rollback", "replicas", "pods"), "kubernetes.deployment"),
                       (("state", "evict", "logs"), "kubernetes.pod")):
        block = re.search(rf"---@class {re.escape(of)}\n((?:---(?!@class).*\n)*)", text)
        have = re.findall(r"---@field (\w+) fun\(", block.group(1)) if block else []
        yield f"the types of {of}", None if set(fields) <= set(have) else f"{have}"
    for line in re.findall(r"^---@field .*fun\(.*$", text[text.index("trigger = {}"):], re.M):
        if not re.match(r"---@field \w+ fun\([^()]*(\([^()]*\)[^()]*)*\): \S", line):
            yield "a field that is none", line
    yield "instances are named", None if "instances here: prod-eu, prod-us" in text else text[-800:]


SLOW = "note 'begins' sleep('2s') note 'ends' resolve 'done'"


def lines_of(text):
    return [line for line in text.split("\n") if re.match(r" *\d+\.\ds  ", line)]


def wordless(declared):
    """Things, verbs, fields and arguments of which nothing is said."""
    says, means = declared["says"], declared["means"]
    yield from (name for section in ("things", "reads", "effects") for name in declared[section] if name not in says)
    for name, spec in [*declared["reads"].items(), *declared["effects"].items()]:
        returns = spec.get("returns")
        fields = returns.get("list", returns) if isinstance(returns, dict) else {}
        for field in [*(spec.get("params") or {}), *(spec.get("options") or {}), *(fields if isinstance(fields, dict) else {}), *spec.get("finds", {})]:
            if field not in means and f"{name}.{field}" not in means:
                yield f"{name}.{field}"


def describe_cases(box):
    (box.path / "midwatch.yaml").write_text(f"instances: {{ {CLUSTER}, {METRICS}, sh: {{ plugin: shell }} }}\ncommands: {{ up: "
                                            "{ argv: [uptime], read: true } }\n")
    for name in ("prod-eu", "kubernetes"):
        yield f"describe {name}", expect(
            box.run("plugin", "describe", name), 0, r"kubernetes\.pod\(namespace, name\)", r":logs \{ container, lines",
            r"restarts +integer", r"! :scale\(replicas\)\n +sets the number of pods.*\n +changes deployment/\{\{namespace\}\}", r"cannot be undone")
    yield "describe metrics", expect(box.run("plugin", "describe", "metrics"), 0, r"prometheus\.value\(query, \.\.\.\)\n +the one number .*\n +number",
                                    r"  query +string +PromQL", r"took +number\? +seconds")
    yield "describe a declared command", expect(box.run("plugin", "describe", "sh"), 0, r"shell\.up")
    yield "describe as JSON", expect(box.run("plugin", "describe", "metrics", "-o", "json"), 0, r'"quantile"')
    yield "describe what the operator says of it", expect(box.run("plugin", "describe", "sh"), 0, r"shell\.up\n      runs ")
    for plugin in ("kubernetes", "postgres", "prometheus", "alertmanager"):
        found = json.loads(box.run("plugin", "describe", plugin, "-o", "json")[1])
        yield f"describe: all words of {plugin}", ", ".join(wordless(found)) or None
    types = box.run("help", "--luacats")[1]
    yield "luacats: what it is", None if "--- seconds since the newest sample of a metric\n--- - `labels`: labels, name = value\n" in types and \
        "--- how the pod is\n" in types and "--- - `restarts`: how often" in types else types[-3000:]
    yield "describe nothing", expect(box.run("plugin", "describe", "kubernets"), 2, r"did you mean 'kubernetes'")


def watch_cases(box):
    slow = box.write(book(SLOW))
    run = box.start("run", slow, "--state", "s", stdin=subprocess.DEVNULL)
    stand.wait_for(lambda: len(box.runs()) == 1)
    yield "a run that is being executed is no interrupted one", expect(box.run("list", "--state", "s"), 0,
                                                                       "open: run 1 t is running; midwatch watch 1")
    begun, before = time.monotonic(), os.times()
    watch = box.start("watch", "--state", "s")
    out, err = watch.communicate(timeout=stand.patience(30))
    cost = os.times().children_user + os.times().children_system - before.children_user - before.children_system
    run_out = run.communicate(timeout=stand.patience(30))[0]
    yield "watch shows what run shows", equal(lines_of(out), lines_of(run_out)) or (None if "ends" in out else out)
    yield "watch ends with the run's code", expect((watch.returncode, out, err), 0, "outcome: resolved", "midwatch show 1")
    yield "watch ends with the run", None if time.monotonic() - begun < stand.patience(6) else "late"
    yield "watch costs next to nothing", None if cost < stand.patience(0.6) else f"{cost:.2f} s of processor"
    yield "watch of what has ended", expect(box.run("watch", 1, "--state", "s"), 0, "ends", "outcome: resolved")
    yield "watch -o json", equal({k: json.loads(box.run("watch", 1, "-o", "json", "--state", "s")[1])[k] for k in ("exit", "id", "text")},
                                 {"exit": 0, "id": 1, "text": "done"})
    yield "watch with nothing to see", expect(box.run("watch", "--state", "s"), 2, "midwatch list")
    yield "watch of no run", expect(box.run("watch", 7, "--state", "s"), 2, "no run 7", "midwatch list")
    yield from watch_stopped(box)


def watch_stopped(box):
    waits = box.write(book("sleep('50m') resolve 'x'"))
    for number, (what, signo) in enumerate((("left", signal.SIGTERM), ("killed", signal.SIGKILL)), 2):
        run = box.start("run", waits, "--state", "s", stdin=subprocess.DEVNULL)
        stand.wait_for(lambda n=number: len(box.runs()) == n)
        watch = box.start("watch", number, "--state", "s")
        time.sleep(0.5)
        if what == "left":
            other = box.start("watch", "--state", "s")
            time.sleep(0.4)
            other.send_signal(signal.SIGINT)
            got = other.communicate(timeout=stand.patience(20))
            yield "Ctrl-C ends watching alone", expect((other.returncode, *got), 5, f"midwatch watch {number}") or \
                equal(run.poll(), None)
        run.send_signal(signo)
        run.communicate(timeout=stand.patience(20))
        got = watch.communicate(timeout=stand.patience(20))
        yield f"a run that was {what} ends the watching", expect((watch.returncode, *got), 5, f"midwatch resume {number}")


SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bind 'set completion-query-items 0'\n"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D\n"),
    "fish": (["fish", "--no-config", "-i"], ""),
}
TYPED = (("midwatch repo", "report "), ("midwatch run web", "run web-down "), ("midwatch run web-down -p nam", "namespace="),
         ("midwatch show ", "show 1 "), ("midwatch new x --uses prod-e", "--uses prod-eu "), ("midwatch run x --sta", "--state "),
         ("midwatch settle 1 rel", "settle 1 release "), ("midwatch completion zs", "completion zsh "))


def completion_cases(box):
    (box.path / "midwatch.yaml").write_text(f"instances: {{ {CLUSTER}, {METRICS}, sh: {{ plugin: shell }} }}\nstate: s\n")
    box.run("new", "web-down")
    box.run("run", box.write(book("resolve 'x'")))
    (box.path / "runbooks/$(touch hacked).md").write_text("x")
    hostile = FRONT.replace(" t\n", " hostile\n", 1) + "params: { a: { type: string, one_of: [ok, \"$(touch hacked)\"] } }\n"
    (box.path / "runbooks/hostile.md").write_text(book("resolve 'x'", hostile))
    for words, wanted in ((["run", ""], {"web-down", "hostile", ":files"}), (["run", "hostile", "-p", "a="], {"a=ok"}),
                          (["show", ""], {"1"}), (["resume", ""], set()), (["undo", ""], {"1"}), (["answer", "1", ""], set()),
                          (["settle", "1", ""], {"applied", "absent", "release"}), (["lint", "web-down", "ho"], {"hostile", ":files"}),
                          (["new", "x", "--uses=m"], {"--uses=metrics"}), (["nonsense", ""], set()), (["report", "1", "--out", ""], {":files"}),
                          (["list", "--state", ""], {":dirs"}), (["help", "ver"], {"version"}), (["halt", ""], set())):
        out = box.run("complete", "--", *words)[1]
        yield "complete " + " ".join(words), equal({line.split("\t")[0] for line in out.split("\n") if line}, wanted)
    yield "completion of no shell", expect(box.run("completion", "zhs"), 2, "did you mean 'zsh'")
    for name, (argv, setup) in SHELLS.items():
        if shutil.which(name):
            yield from shell_cases(box, name, argv, setup)
    yield "nothing was executed", equal(list(box.path.rglob("hacked")), [])


def in_terminal(box, *words):
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(box.path)
        os.execve(box.program, box.argv(*words), {**os.environ, "TERM": "xterm", "HOME": str(box.path), "MIDWATCH_STATE": ""})
    return pid, fd


def plain(screen):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|[\r\x07]", "", screen.decode(errors="replace"))


def shell_cases(box, name, argv, setup):
    if name == "fish":
        for typed, wanted in TYPED:
            p = subprocess.run([*argv[:2], "-c", f"midwatch completion fish | source; complete -C '{typed}'"], cwd=box.path,
                               capture_output=True, text=True, check=False, env=shell_environment(box))
            found = [line.split("\t")[0] for line in p.stdout.split("\n")]
            yield f"fish: {typed}", None if wanted.split(" ")[-1 if wanted[-1] != " " else -2] in found else p.stdout + p.stderr
        return
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(box.path)
        os.execvpe(argv[0], argv, {**shell_environment(box), "TERM": "dumb", "PS1": "> "})
    os.write(fd, (setup + f'eval "$(midwatch completion {name})"; echo rea""dy\n').encode())
    read_until(fd, b"ready")
    for typed, wanted in TYPED:
        os.write(fd, b"\x15" + typed.encode() + b"\t")
        screen = plain(read_until(fd, wanted.encode(), 3))
        yield f"{name}: {typed}", None if wanted in screen else repr(screen)
    os.write(fd, b"\x15exit\n")
    read_until(fd, None, 2)
    os.close(fd)
    os.waitpid(pid, 0)


def shell_environment(box):
    return {**os.environ, "PATH": f"{box.program.parent}:{os.environ['PATH']}", "HOME": str(box.path), "MIDWATCH_STATE": "",
            "LC_ALL": "C"}


def message_cases(box):
    resolves = box.write(book("resolve 'x'"))
    yield "no journal yet", expect(box.run("list", "--state", "s"), 2, "midwatch run RUNBOOK")
    yield "no runbook at all", expect(box.run("run", "nothing", "--state", "s"), 2, "midwatch new NAME")
    box.run("new", "web-down")
    box.run("new", "disk-full")
    for verb in ("run", "lint", "test"):
        yield f"{verb}: a near name", expect(box.run(verb, "web-don", "--state", "s"), 2, "did you mean 'web-down'")
        yield f"{verb}: what there is", expect(box.run(verb, "zzzzzzzz", "--state", "s"), 2, "has disk-full, web-down")
    yield "test without scenarios", expect(box.run("test", resolves), 2, "no scenario file", "midwatch new")
    yield "resolved: what next", expect(box.run("run", resolves, "--state", "s"), 0, "midwatch show 1", "midwatch report 1 -o html")
    yield "escalated: what next", expect(box.run("run", box.write(book("escalate 'x'")), "--state", "s"), 3,
                                         "midwatch report 2 -o escalation", "midwatch show 2")
    lost = "remedy('t', shell.lost { file = 'y' }, { verify = 'applied' }) resolve 'x'"
    yield "parked: what next", expect(box.run("run", box.write(book(lost, FRONT + MAY)), "--state", "s"), 6,
                                      "midwatch settle 3 applied", "midwatch resume 3")
    for verb, words in (("show", []), ("report", []), ("resume", []), ("replay", []), ("watch", []), ("settle", ["applied"]),
                        ("approve", []), ("answer", ["x"])):
        yield f"{verb} of an unknown run", expect(box.run(verb, 99, *words, "--state", "s"), 2, "99", "midwatch list|no open question")
    yield "resume of what has ended", expect(box.run("resume", 1, "--state", "s"), 2, "has ended", "midwatch show 1")


def json_cases(box):
    lost = "remedy('t', shell.lost { file = 'y' }, { verify = 'applied' }) resolve 'x'"
    box.run("run", box.write(book(lost, FRONT + MAY)), "--state", "s")
    asks = "ask('which way?', { 'left', 'right' }) resolve 'x'"
    box.run("new", "web-down")
    for name, words, code in (("list", ["list"], 0), ("show", ["show", 1], 0), ("report", ["report", 1], 0), ("replay", ["replay", 1], 0),
                              ("settle", ["settle", 1, "applied"], 0), ("resume", ["resume", 1], 0), ("watch", ["watch", 1], 0),
                              ("halt", ["halt", "why"], 0), ("halt --release", ["halt", "--release"], 0), ("doctor", ["doctor"], None),
                              ("lint", ["lint", "web-down"], 0), ("test", ["test", "web-down"], 0), ("new", ["new", "b"], 0),
                              ("run", ["run", box.write(book("resolve 'x'"))], 0)):
        got = box.run(*words, "-o", "json", "--state", "s") if name != "new" else box.run(*words, "-o", "json")
        yield f"-o json: {name}", is_json(got) or (None if code is None else equal(got[0], code))
    pid, fd = in_terminal(box, "run", box.write(book(asks)), "--state", "s")
    read_until(fd, b"which way")
    stand.wait_for(lambda: any(r["state"] == "waiting: person" for r in box.runs()))
    number = max(r["id"] for r in box.runs())
    watch = box.start("watch", "--state", "s")
    time.sleep(2.5)
    yield "a run that waits for a person is watched on", equal(watch.poll(), None)
    got = box.run("answer", number, "left", "-o", "json", "--state", "s")
    yield "-o json: answer", is_json(got) or equal((got[0], json.loads(got[1])["answer"]), (0, "left"))
    read_until(fd, None)
    os.close(fd)
    os.waitpid(pid, 0)
    out, err = watch.communicate(timeout=stand.patience(20))
    yield "and its end is seen", expect((watch.returncode, out, err), 0, "outcome: resolved")
    printing = {v["name"] for v in verbs(box) if any(o["name"] == "-o" for o in v["options"])}
    yield "-o json for every verb that prints", equal({v["name"] for v in verbs(box)} - printing, {"completion"})


def is_json(got):
    try:
        json.loads(got[1])
    except ValueError:
        return f"exit {got[0]}, no JSON: {got[1][:300]}{got[2][-300:]}"
    return None


class Box(cli_flow.Box):
    """A box whose commands may run in a folder of it."""

    def run(self, *words, cwd_in=None, **more):
        p = subprocess.run(self.argv(*words), cwd=cwd_in or self.path, text=True, capture_output=True, timeout=stand.patience(60), check=False,
                           env={**os.environ, "MIDWATCH_STATE": "", "HOME": str(self.path)}, **more)
        return p.returncode, p.stdout, p.stderr


GROUPS = {"help": help_cases, "new": new_cases, "luacats": luacats_cases, "describe": describe_cases, "watch": watch_cases,
          "completion": completion_cases, "messages": message_cases, "json": json_cases}


def cases(program, scratch, only):
    return cli_flow.of_groups(GROUPS, Box, program, scratch, only)


if __name__ == "__main__":
    stand.main(__doc__, cases)
