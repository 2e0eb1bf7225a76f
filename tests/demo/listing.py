# SPDX-License-Identifier: Apache-2.0
"""What a Kubernetes list request selects: label and field selectors, limit and continue."""
import base64
import json
import re

KEY = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?(/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
SET = re.compile(rf"^(?P<key>{KEY})\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
EQUAL = re.compile(rf"^(?P<key>{KEY})\s*(?P<op>==|=|!=)\s*(?P<value>[A-Za-z0-9_.-]*)$")
EXISTS = re.compile(rf"^(?P<op>!?)\s*(?P<key>{KEY})$")
KEEPS_TOKENS = 1000


class BadSelector(ValueError):
    """A selector or continue token that cannot be parsed."""


class Expired(Exception):
    """A continue token from too long ago."""


def label_selector(text):
    """A predicate over a label map for the text of labelSelector."""
    tests = []
    for part in filter(None, (p.strip() for p in re.split(r",(?![^()]*\))", text or ""))):
        match = SET.match(part) or EQUAL.match(part) or EXISTS.match(part)
        if not match:
            raise BadSelector(f"unable to parse requirement: {part!r}")
        tests.append(match.groupdict())
    return lambda labels: all(_holds(test, labels or {}) for test in tests)


def _holds(test, labels):
    value, op = labels.get(test["key"]), test["op"]
    if op in ("", "!"):
        return (value is None) == (op == "!")
    if op in ("in", "notin"):
        return (value in [v.strip() for v in test["values"].split(",")]) == (op == "in")
    return (value == test["value"]) == (op != "!=")


def selector_text(selector):
    """The text form of a LabelSelector object, as Scale.status.selector carries it."""
    parts = [f"{k}={v}" for k, v in sorted(selector.get("matchLabels", {}).items())]
    for expr in selector.get("matchExpressions", []):
        key, op, values = expr["key"], expr["operator"], ",".join(expr.get("values", []))
        parts.append({"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})",
                      "Exists": key, "DoesNotExist": f"!{key}"}[op])
    return ",".join(parts)


def field_selector(text, labels=()):
    """A predicate over an object; the API knows name and namespace for every kind, and `labels` for this one."""
    tests = []
    for part in filter(None, (p.strip() for p in (text or "").split(","))):
        match = re.match(r"^([\w.]+?)(==|=|!=)(.*)$", part)
        if not match or match.group(1) not in ("metadata.name", "metadata.namespace", *labels):
            raise BadSelector(f"field label not supported: {part.split('=')[0]}")
        tests.append(match.groups())
    return lambda obj: all((_value(obj, f) == value) == (op != "!=") for f, op, value in tests)


def _value(obj, path):
    for key in path.split("."):
        obj = obj.get(key) if isinstance(obj, dict) else None
    return "" if obj is None else obj


def page(items, query, version):
    """One page of sorted [key, object] and the list metadata that goes with it."""
    meta = {"resourceVersion": str(version)}
    if query.get("continue"):
        try:
            token = json.loads(base64.urlsafe_b64decode(query["continue"]))
            after, version = token["after"], token["rv"]
        except (ValueError, KeyError, TypeError):
            raise BadSelector("continue key is not valid: illegal base64 data") from None
        if int(meta["resourceVersion"]) - version > KEEPS_TOKENS:
            raise Expired("The provided continue parameter is too old to display a consistent list result. "
                          "You can start a new list without the continue parameter.")
        meta["resourceVersion"] = str(version)
        items = [(k, o) for k, o in items if k > after]
    try:
        limit = int(query.get("limit") or 0)
    except ValueError:
        raise BadSelector(f"invalid limit {query['limit']!r}") from None
    if 0 < limit < len(items):
        token = json.dumps({"rv": version, "after": items[limit - 1][0]}).encode()
        meta["continue"] = base64.urlsafe_b64encode(token).decode()
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            meta["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    return [o for _, o in items], meta
