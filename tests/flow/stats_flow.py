#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""lua/stats against values of other origin: Python's statistics, and integrals taken step by step. The judge also against
its promise: a healthy canary that is looked at again and again is seldom called worse, a bad one is found."""
import math
import pathlib
import random
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import stand  # noqa: E402
from stand import expect  # noqa: E402


CONFIG = "hosts: [localhost]\n"


def integral(f, a, b, steps=20000):
    """Simpson's rule."""
    h = (b - a) / steps
    return h / 3 * (f(a) + f(b) + sum((4 if i % 2 else 2) * f(a + i * h) for i in range(1, steps)))


def p_value(t, df):
    """Two-sided, from the density of Student's t."""
    c = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    return 1 - 2 * integral(lambda x: c * (1 + x * x / df) ** (-(df + 1) / 2), 0, abs(t))


def evidence(k, n, w):
    """The bet that the coin's bias is above w, by integration of the likelihood ratio."""
    return integral(lambda x: math.exp(k * math.log(x / w) + (n * math.log((1 - x) / (1 - w)) if n else 0)), w, 1 - 1e-12) / (1 - w)


def welch(a, b):
    sa, sb = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    t = (statistics.mean(b) - statistics.mean(a)) / math.sqrt(sa + sb)
    df = (sa + sb) ** 2 / (sa ** 2 / (len(a) - 1) + sb ** 2 / (len(b) - 1))
    return t, df, p_value(t, df)


def lua(values):
    return "{" + ", ".join(map(repr, values)) + "}"


def numbers(program, path, name, lines):
    """The numbers that these expressions give, told by a run."""
    box = stand.Box(program, path / name, CONFIG, "[]")
    code = "local out = {}\n" + "\n".join(f"out[{i + 1}] = string.format('%.17g', {x})" for i, x in enumerate(lines))
    got = box.run(code + "\nresolve('values: ' .. table.concat(out, ' ') .. ' end')")
    found = re.search(r"values: (.*) end", got[1] + got[2])
    return [float(x) for x in found[1].split()] if found else got[1][-300:] + got[2][-300:]


def near(got, wanted, tolerance=1e-9):
    if not isinstance(got, list) or len(got) != len(wanted):
        return f"{got} instead of {wanted}"
    for g, w in zip(got, wanted):
        if not abs(g - w) <= tolerance * max(1, abs(w)):
            return f"{got} instead of {wanted}"
    return None


def value_cases(program, path):
    rng = random.Random(1)
    a, b = [rng.gauss(200, 30) for _ in range(25)], [rng.gauss(230, 60) for _ in range(40)]
    xs = [rng.random() for _ in range(30)]
    ys = [2 * x + rng.gauss(0, 0.3) for x in xs]
    yield "mean, median, percentile, stdev, correlation", near(
        numbers(program, path, "simple", [f"stats.mean({lua(a)})", f"stats.median({lua(a)})", f"stats.percentile({lua(b)}, 0.95)",
                                          f"stats.stdev({lua(a)})", f"stats.correlation({lua(xs)}, {lua(ys)})",
                                          "stats.percentile({ 5 }, 0.99)", "stats.median({ 1, 2 })"]),
        [statistics.mean(a), statistics.median(a), statistics.quantiles(b, n=20, method="inclusive")[-1], statistics.stdev(a),
         statistics.correlation(xs, ys), 5, 1.5])
    tests = [(a, b), (a, a[:5]), ([1, 2, 3], [1.5, 2.5, 9]), ([0.1, 0.2], [5.1, 5.3, 5.2]), (a, [x + 1e-9 for x in a])]
    got = numbers(program, path, "t", [f"stats.t_test({lua(x)}, {lua(y)}).{f}" for x, y in tests for f in ("t", "df", "p")])
    yield "Welch's t-test", near(got, [v for x, y in tests for v in welch(x, y)], 1e-7)
    # The p value of t = 2.228, 10 degrees of freedom, is in every printed table.
    yield "and its tables", None if abs(p_value(2.228, 10) - 0.05) < 1e-4 else str(p_value(2.228, 10))
    counts = [(10, 90, 0.1), (30, 90, 0.1), (0, 5, 0.5), (5, 0, 0.5), (400, 3000, 0.1), (7, 3, 0.5)]
    got = numbers(program, path, "judge", [
        f"stats.judge({{ canary = {{ requests = {int(w * 100000)}, bad = {k} }}, baseline = {{ requests = {100000 - int(w * 100000)}, "
        f"bad = {n} }} }}).worse" for k, n, w in counts])
    yield "the judge's evidence", near(got, [min(1e12, evidence(*c)) for c in counts], 1e-6)


JUDGED = {
    "far worse": ("canary = { requests = 1000, bad = 60 }, baseline = { requests = 9000, bad = 90 }", "worse"),
    "twice as bad, and few": ("canary = { requests = 100, bad = 2 }, baseline = { requests = 900, bad = 9 }", "undecided"),
    "as good, and many": ("canary = { requests = 100000, bad = 1000 }, baseline = { requests = 900000, bad = 9000 }", "no worse"),
    "better": ("canary = { requests = 10000, bad = 20 }, baseline = { requests = 90000, bad = 900 }", "no worse"),
    "nothing bad anywhere": ("canary = { requests = 1e6, bad = 0 }, baseline = { requests = 1e6, bad = 0 }", "undecided"),
    "nothing bad, and a rate that is tolerable": ("tolerable = 0.001, canary = { requests = 1e5, bad = 0 }, "
                                                  "baseline = { requests = 1e5, bad = 0 }", "no worse"),
    "no requests": ("canary = { requests = 0, bad = 0 }, baseline = { requests = 100, bad = 0 }", "undecided"),
    "too few to be sure": ("at_least = 1e6, canary = { requests = 100000, bad = 1000 }, baseline = { requests = 900000, bad = 9000 }",
                           "undecided"),
    "strata": ("strata = { { canary = { requests = 500, bad = 30 }, baseline = { requests = 4500, bad = 45 } }, "
               "{ canary = { requests = 500, bad = 30 }, baseline = { requests = 500, bad = 10 } } }", "worse"),
    "all bad": ("canary = { requests = 100, bad = 100 }, baseline = { requests = 100, bad = 0 }", "worse"),
}
WRONG = {
    "an empty list": ("stats.mean {}", r"stats\.mean.*0 values"), "one value": ("stats.stdev { 1 }", r"1 values, and 2"),
    "no variance": ("stats.correlation({ 1, 1, 1 }, { 1, 2, 3 })", r"does not vary"),
    "no variance at all": ("stats.t_test({ 1, 1 }, { 2, 2 })", r"neither of them varies"),
    "of different length": ("stats.correlation({ 1, 2, 3 }, { 1, 2, 3, 4 })", r"3 values and 4"),
    "a text": ("stats.mean { 1, 'x' }", r"\[2\] is no number: x"), "NaN": ("stats.mean { 0 / 0 }", r"\[1\] is no number"),
    "no list": ("stats.mean(3)", r"wants a list"), "no share": ("stats.percentile({ 1 }, 95)", r"from 0 to 1"),
    "a word that there is not": ("stats.judge { canry = {} }", r"did you mean 'canary'"),
    "a side is missing": ("stats.judge { canary = { requests = 1, bad = 0 } }", r"baseline ="),
    "more bad ones than requests": ("stats.judge { canary = { requests = 1, bad = 2 }, baseline = { requests = 1, bad = 0 } }", r"2 bad"),
    "alpha": ("stats.judge { alpha = 2, canary = {}, baseline = {} }", r"alpha must be between"),
}


def judge_cases(program, path):
    box = stand.Box(program, path / "verdicts", CONFIG, "[]")
    for name, (given, verdict) in JUDGED.items():
        yield "judge: " + name, expect(box.run(f"resolve('it is ' .. stats.judge {{ {given} }}.verdict)"), 0, f"it is {verdict}")
    for name, (code, pattern) in WRONG.items():
        yield "refused: " + name, expect(box.run(f"local x = {code}\nresolve(tostring(x))"), 3, pattern)


SIMULATION = """
local function bad_of(n, p) local k = 0 for _ = 1, n do if math.random() < p then k = k + 1 end end return k end
local called = 0
for _ = 1, 60 do
  local c, b = { requests = 0, bad = 0 }, { requests = 0, bad = 0 }
  for _ = 1, 60 do
    c.requests, c.bad = c.requests + 60, c.bad + bad_of(60, CANARY)
    b.requests, b.bad = b.requests + 60, b.bad + bad_of(60, 0.02)
    if stats.judge { canary = c, baseline = b }.verdict == "worse" then called = called + 1 break end
  end
end
resolve("worse: " .. called)
"""


def promise_cases(program, path):
    box = stand.Box(program, path / "promise", CONFIG, "[]")
    for name, rate, low, high in (("healthy, 60 looks", "0.02", 0, 6), ("three times as bad", "0.06", 60, 60)):
        got = box.run(SIMULATION.replace("CANARY", rate))
        said = [w for w in (got[1] + got[2]).replace('"', " ").split("worse: ")[1:]]
        count = int(said[0].split()[0].strip(".")) if said else -1
        yield "promise: " + name, None if low <= count <= high else f"{count} of 60: {got[1][-300:]}{got[2][-300:]}"


def cases(program, scratch, only):
    for group in (value_cases, judge_cases, promise_cases):
        if only in group.__name__:
            yield from group(program, scratch)


if __name__ == "__main__":
    stand.main(__doc__, cases)
