# SPDX-License-Identifier: Apache-2.0
"""The part of PromQL that the demo needs: parse to a tree, evaluate at one time.

Selectors with all four matchers, ranges, rate and friends, histogram_quantile, aggregations with
by and without, arithmetic, comparison and set operators on equal labels. Anything else is a
BadQuery, never a guess. The arithmetic (extrapolation, interpolation, NaN) is Prometheus's own.
"""
import math
import operator
import re

TOKEN = re.compile(r"""\s*(?:(?P<num>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<dur>(?:\d+(?:ms|[smhdwy]))+)|(?P<name>[a-zA-Z_:][\w:]*)
    |(?P<str>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)|(?P<op>=~|!~|==|!=|<=|>=|[-+*/%^(){}\[\],=<>]))""", re.X)
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
AGGREGATES = {"sum": math.fsum, "avg": lambda v: math.fsum(v) / len(v), "min": min, "max": max, "count": len}
PRECEDENCE = {"or": 1, "and": 2, "unless": 2, "==": 3, "!=": 3, "<": 3, ">": 3, "<=": 3, ">=": 3,
              "+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "^": 6}
COMPARE = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le,
           ">=": operator.ge}
OVER_TIME = {"min_over_time": min, "max_over_time": max, "sum_over_time": math.fsum, "count_over_time": len,
             "avg_over_time": lambda v: math.fsum(v) / len(v), "last_over_time": lambda v: v[-1]}
DEPTH_MAX = 60


class BadQuery(ValueError):
    """A query that cannot be parsed or has the wrong types (bad_data, 400)."""


# --- parsing

def tokenize(text):
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise BadQuery(f"1:{at + 1}: parse error: unexpected character: {text[at:].lstrip()[:1]!r}")
        tokens.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        at = match.end()
    return tokens + [("end", "", len(text))]


def unquote(text):
    if text[0] == "`":
        return text[1:-1]

    def one(match):
        body = match[1]
        if body in ESCAPES:
            return ESCAPES[body]
        if body[0] in "xuU":
            return chr(int(body[1:], 16))
        if len(body) == 3:
            return chr(int(body, 8))
        raise BadQuery(f"1:1: parse error: unknown escape sequence \\{body}")
    return re.sub(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", one, text[1:-1])


def seconds(text):
    return sum(int(n) * UNITS[u] for n, u in re.findall(r"(\d+)(ms|[smhdwy])", text))


def matcher(name, op, value):
    """(name, test) of one label matcher; regular expressions are anchored."""
    if op in ("=~", "!~"):
        try:
            pattern = re.compile(f"(?:{value})", re.S)
        except re.error as bad:
            raise BadQuery(f"1:1: parse error: error parsing regexp: {bad}") from None
        return name, lambda label: bool(pattern.fullmatch(label)) == (op == "=~")
    return name, lambda label: (label == value) == (op == "=")


class Parser:
    """Recursive descent over the tokens of one query; nodes are tuples that start with their kind."""

    def __init__(self, text):
        self.tokens, self.at, self.depth = tokenize(text), 0, 0

    def fail(self, what="unexpected"):
        kind, text, at = self.tokens[self.at]
        raise BadQuery(f"1:{at + 1}: parse error: {what} {'end of input' if kind == 'end' else repr(text)}")

    def peek(self, *texts):
        return self.tokens[self.at][1] in texts and self.tokens[self.at][0] != "str"

    def take(self, *texts):
        if self.peek(*texts):
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def need(self, *texts):
        return self.take(*texts) or self.fail()

    def kind(self, kind):
        if self.tokens[self.at][0] != kind:
            self.fail()
        self.at += 1
        return self.tokens[self.at - 1][1]

    def parse(self):
        if self.tokens[0][0] == "end":
            raise BadQuery("unknown position: parse error: no expression found in input")
        tree = self.expression(0)
        if self.tokens[self.at][0] != "end":
            self.fail()
        return tree

    def expression(self, least):
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise BadQuery("1:1: parse error: too deeply nested")
        left = self.unary()
        while self.tokens[self.at][0] in ("op", "name"):
            op = self.tokens[self.at][1]
            rank = PRECEDENCE.get(op, 0)
            if rank <= least:
                break
            self.at += 1
            if self.peek("bool", "on", "ignoring"):
                self.fail("not supported by the stand-in:")
            left = ("binary", op, left, self.expression(rank - (op == "^")))
        self.depth -= 1
        return left

    def unary(self):
        if self.take("-"):
            return ("binary", "*", ("number", -1.0), self.unary())
        self.take("+")
        tree = self.primary()
        if self.take("["):
            if tree[0] != "selector":
                self.fail("ranges only allowed for vector selectors:")
            tree = ("range", tree[1], seconds(self.kind("dur")))
            self.need("]")
        if self.peek("offset", "@"):
            self.fail("not supported by the stand-in:")
        return tree

    def primary(self):
        kind, text, _ = self.tokens[self.at]
        if kind == "num":
            self.at += 1
            return ("number", float(text))
        if kind == "str":
            self.at += 1
            return ("string", unquote(text))
        if self.take("("):
            tree = self.expression(0)
            self.need(")")
            return tree
        if self.peek("{"):
            return self.selector(None)
        name = self.kind("name")
        if name.lower() in ("nan", "inf") and not self.peek("{", "("):
            return ("number", float(name))
        if name in AGGREGATES and self.peek("(", "by", "without"):
            return self.aggregate(name)
        if self.peek("("):
            return ("call", name, self.arguments())
        return self.selector(name)

    def arguments(self):
        self.need("(")
        found = []
        while not self.peek(")"):
            found.append(self.expression(0))
            if not self.take(","):
                break
        self.need(")")
        return found

    def grouping(self):
        mode, names = self.take("by", "without"), []
        if mode:
            self.need("(")
            while not self.peek(")"):
                names.append(self.kind("name"))
                if not self.take(","):
                    break
            self.need(")")
        return mode, names

    def aggregate(self, name):
        mode, names = self.grouping()
        args = self.arguments()
        if not mode:
            mode, names = self.grouping()
        if len(args) != 1:
            self.fail(f"wrong number of arguments for aggregate {name}, before")
        return ("aggregate", name, mode or "by", names, args[0])

    def selector(self, name):
        tests = [matcher("__name__", "=", name)] if name else []
        if self.take("{"):
            while not self.peek("}"):
                label = self.kind("name")
                op = self.need("=", "!=", "=~", "!~")
                tests.append(matcher(label, op, unquote(self.kind("str"))))
                if not self.take(","):
                    break
            self.need("}")
        if all(test("") for _, test in tests):
            raise BadQuery("1:1: parse error: vector selector must contain at least one non-empty matcher")
        return ("selector", tests)


# --- evaluation: a scalar is a float, a vector a list of (labels, value)

def without_name(labels):
    return {k: v for k, v in labels.items() if k != "__name__"}


def extrapolated(points, now, window, per_second):
    """rate and increase as Prometheus computes them; None with fewer than two samples."""
    if len(points) < 2:
        return None
    (first_t, first), (last_t, last) = points[0], points[-1]
    grown = last - first + sum(a for (_, a), (_, b) in zip(points, points[1:]) if b < a)
    covered = last_t - first_t
    gap = covered / (len(points) - 1)
    before, after = first_t - (now - window), now - last_t
    if before >= gap * 1.1:
        before = gap / 2
    if grown > 0 and first >= 0:
        before = min(before, covered * (first / grown))
    if after >= gap * 1.1:
        after = gap / 2
    value = grown * (covered + before + after) / covered
    return value / window if per_second else value


def bucket_quantile(q, buckets):
    """The q-quantile of cumulative (upper bound, count) pairs by linear interpolation."""
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return math.copysign(math.inf, q)
    merged = {}
    for bound, count in buckets:
        merged[bound] = merged.get(bound, 0.0) + count
    bounds = sorted(merged)
    if len(bounds) < 2 or bounds[-1] != math.inf:
        return math.nan
    counts, top = [], 0.0
    for bound in bounds:
        top = max(top, merged[bound])
        counts.append(top)
    if counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    rank = q * counts[-1]
    at = next((i for i in range(len(bounds) - 1) if counts[i] >= rank), len(bounds) - 1)
    if at == len(bounds) - 1:
        return bounds[-2]
    if at == 0 and bounds[0] <= 0:
        return bounds[0]
    start, below = (bounds[at - 1], counts[at - 1]) if at else (0.0, 0.0)
    inside = counts[at] - below
    return start + (bounds[at] - start) * ((rank - below) / inside if inside else 0.0)


class Evaluator:
    """Evaluates a tree on a Store at one time."""

    def __init__(self, store, now):
        self.store, self.now = store, now

    def value(self, tree):
        kind = tree[0]
        if kind in ("number", "string"):
            return tree[1]
        if kind == "selector":
            return [(labels, value) for labels, _, value in self.store.instant(tree[1], self.now)]
        if kind == "range":
            raise BadQuery("invalid expression type \"range vector\" here, must be Scalar or instant Vector")
        if kind == "aggregate":
            return self.aggregate(*tree[1:])
        return self.call(tree[1], tree[2]) if kind == "call" else self.binary(*tree[1:])

    def scalar(self, tree):
        value = self.value(tree)
        if not isinstance(value, float):
            raise BadQuery("parse error: expected type scalar")
        return value

    def vector(self, tree):
        value = self.value(tree)
        if not isinstance(value, list):
            raise BadQuery("parse error: expected type instant vector")
        return value

    def aggregate(self, name, mode, names, inner):
        groups = {}
        for labels, value in self.vector(inner):
            if mode == "by":
                kept = {k: v for k, v in labels.items() if k in names}
            else:
                kept = {k: v for k, v in labels.items() if k not in names and k != "__name__"}
            groups.setdefault(frozenset(kept.items()), []).append(value)
        out = []
        for key, values in groups.items():
            numbers = [v for v in values if not math.isnan(v)] if name in ("min", "max") else values
            out.append((dict(key), float(AGGREGATES[name](numbers or values))))
        return out

    def call(self, name, args):
        arity = {"histogram_quantile": 2, "time": 0}.get(name, 1)
        if name not in OVER_TIME and name not in ("histogram_quantile", "time", "rate", "increase", "timestamp",
                                                  "vector", "scalar", "absent", "abs"):
            raise BadQuery(f'parse error: unknown function with name "{name}"')
        if len(args) != arity:
            raise BadQuery(f'parse error: expected {arity} argument(s) in call to "{name}", got {len(args)}')
        if name == "time":
            return self.now
        if name in OVER_TIME or name in ("rate", "increase"):
            return self.over_window(name, args[0])
        if name == "histogram_quantile":
            return self.quantile(self.scalar(args[0]), self.vector(args[1]))
        if name == "vector":
            return [({}, self.scalar(args[0]))]
        if name == "timestamp":
            if args[0][0] == "selector":
                return [(without_name(labels), when) for labels, when, _ in
                        self.store.instant(args[0][1], self.now)]
            return [(without_name(labels), self.now) for labels, _ in self.vector(args[0])]
        found = self.vector(args[0])
        if name == "absent":
            return [] if found else [({}, 1.0)]
        if name == "scalar":
            return found[0][1] if len(found) == 1 else math.nan
        return [(without_name(labels), abs(value)) for labels, value in found]

    def over_window(self, name, tree):
        if tree[0] != "range":
            raise BadQuery(f'parse error: expected type range vector in call to function "{name}"')
        out = []
        for labels, points in self.store.window(tree[1], self.now, tree[2]):
            if name in OVER_TIME:
                value = float(OVER_TIME[name]([v for _, v in points]))
            else:
                value = extrapolated(points, self.now, tree[2], name == "rate")
            if value is not None:
                out.append((without_name(labels), value))
        return out

    def quantile(self, q, buckets):
        groups = {}
        for labels, count in buckets:
            try:
                bound = float(labels["le"])
            except (KeyError, ValueError):
                continue
            key = frozenset((k, v) for k, v in labels.items() if k not in ("le", "__name__"))
            groups.setdefault(key, []).append((bound, count))
        return [(dict(key), bucket_quantile(q, pairs)) for key, pairs in groups.items()]

    def binary(self, op, left, right):
        a, b = self.value(left), self.value(right)
        if isinstance(a, str) or isinstance(b, str):
            raise BadQuery("parse error: binary expression must contain only scalar and instant vector types")
        if isinstance(a, float) and isinstance(b, float):
            if op in COMPARE:
                raise BadQuery("parse error: comparisons between scalars must use BOOL modifier")
            return arithmetic(op, a, b)
        if op in ("or", "and", "unless"):
            return self.sets(op, a, b)
        if isinstance(b, float):
            pairs = [(labels, x, b, x) for labels, x in a]
        elif isinstance(a, float):
            pairs = [(labels, a, x, x) for labels, x in b]
        else:
            other = {frozenset(without_name(labels).items()): x for labels, x in b}
            pairs = [(labels, x, other[k], x) for labels, x in a
                     if (k := frozenset(without_name(labels).items())) in other]
        if op in COMPARE:
            return [(labels, kept) for labels, x, y, kept in pairs if COMPARE[op](x, y)]
        return [(without_name(labels), arithmetic(op, x, y)) for labels, x, y, _ in pairs]

    def sets(self, op, a, b):
        if isinstance(a, float) or isinstance(b, float):
            raise BadQuery(f"parse error: set operator {op!r} not allowed in binary scalar expression")
        left = {frozenset(without_name(labels).items()) for labels, _ in a}
        right = {frozenset(without_name(labels).items()) for labels, _ in b}
        if op == "or":
            return a + [(labels, v) for labels, v in b if frozenset(without_name(labels).items()) not in left]
        return [(labels, v) for labels, v in a
                if (frozenset(without_name(labels).items()) in right) == (op == "and")]


def arithmetic(op, a, b):
    try:
        return {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
                "%": math.fmod, "^": math.pow}[op](a, b)
    except ZeroDivisionError:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)
    except (ValueError, OverflowError):
        return math.nan


def query(store, text, now):
    """Evaluates a query: a float, a string or a vector. Raises BadQuery."""
    return Evaluator(store, float(now)).value(Parser(text).parse())
