# SPDX-License-Identifier: Apache-2.0
"""Time series in memory: what scraping the Prometheus text format leaves behind.

A series is a list of (time, value); a value of None marks that the series went away, so that an
instant look does not return it any more. Times come from the caller.
"""
import re

LOOKBACK_S = 300
KEEP_S = 330
LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?$")
LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse_text(text):
    """The samples of an exposition as [(name, labels, value)]; raises ValueError at a bad line."""
    samples = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = LINE.match(line)
        if not match:
            raise ValueError(f"line {number}: not a sample")
        labels, at, inside = {}, 0, match[2] or ""
        while at < len(inside):
            label = LABEL.match(inside, at)
            if not label:
                raise ValueError(f"line {number}: bad labels")
            labels[label[1]] = re.sub(r"\\.", lambda m: ESCAPES.get(m[0], m[0]), label[2])
            at = label.end()
        samples.append((match[1], labels, float(match[3])))
    return samples


class Store:
    """Series by their labels (the name is the label __name__)."""

    def __init__(self):
        self.series = {}

    def add(self, labels, when, value):
        points = self.series.setdefault(frozenset(labels.items()), [])
        points.append((when, value))
        while points[0][0] < when - KEEP_S:
            points.pop(0)

    def scraped(self, target, when, text):
        """Takes over one scrape of a target; text None means that the scrape failed."""
        try:
            samples = parse_text(text) if text is not None else []
            up = text is not None
        except ValueError:
            samples, up = [], False
        seen = set()
        for name, labels, value in samples:
            full = {"__name__": name, **labels, **target}
            seen.add(frozenset(full.items()))
            self.add(full, when, value)
        for key, points in self.series.items():
            labels = dict(key)
            mine = all(labels.get(k) == v for k, v in target.items()) and labels["__name__"] != "up"
            if mine and key not in seen and points[-1][1] is not None:
                points.append((when, None))
        self.add({"__name__": "up", **target}, when, float(up))

    def select(self, matchers):
        """The label maps and points of the series that all matchers accept."""
        found = []
        for key, points in self.series.items():
            labels = dict(key)
            if all(test(labels.get(name, "")) for name, test in matchers):
                found.append((labels, points))
        return found

    def instant(self, matchers, now):
        """[(labels, time, value)] of the last sample of each series within the look-back."""
        found = []
        for labels, points in self.select(matchers):
            last = next((p for p in reversed(points) if p[0] <= now), None)
            if last and last[1] is not None and last[0] > now - LOOKBACK_S:
                found.append((labels, last[0], last[1]))
        return found

    def window(self, matchers, now, seconds):
        """[(labels, points)] with the samples in (now - seconds, now]."""
        found = []
        for labels, points in self.select(matchers):
            inside = [p for p in points if now - seconds < p[0] <= now and p[1] is not None]
            if inside:
                found.append((labels, inside))
        return found
