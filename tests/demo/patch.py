# SPDX-License-Identifier: Apache-2.0
"""The three patch kinds of the Kubernetes API as pure functions over decoded JSON.

None of them changes its arguments. A document that cannot be understood raises
BadPatch (the API answers 400), one that does not fit the object raises PatchFailed
(the API answers 422).
"""
import copy

MERGE_KEYS = {
    "containers": "name", "initContainers": "name", "volumes": "name", "env": "name",
    "imagePullSecrets": "name", "ports": "containerPort", "volumeMounts": "mountPath",
    "ownerReferences": "uid", "conditions": "type", "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}


class BadPatch(Exception):
    """The patch document itself is malformed."""


class PatchFailed(Exception):
    """The patch is well formed and does not fit the object."""


def same(a, b):
    """JSON equality: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return type(a) in (int, float) and type(b) in (int, float) and a == b or type(a) is type(b) and a == b


def merge(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target, patch, field=""):
    """Strategic merge for the built-in kinds: lists with a merge key, $patch replace and delete."""
    if isinstance(patch, dict):
        return _strategic_map(target, patch)
    if isinstance(patch, list):
        return _strategic_list(target, patch, MERGE_KEYS.get(field))
    return copy.deepcopy(patch)


def _strategic_map(target, patch):
    directive = patch.get("$patch")
    rest = {k: v for k, v in patch.items() if not k.startswith("$")}
    if directive not in (None, "replace", "merge", "delete"):
        raise BadPatch(f"unknown $patch directive {directive!r}")
    if directive == "replace":
        return copy.deepcopy(rest)
    if directive == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in rest.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = strategic(result.get(key), value, key)
    return result


def _strategic_list(target, patch, merge_key):
    items = [p for p in patch if not (isinstance(p, dict) and p.get("$patch") == "replace" and len(p) == 1)]
    if merge_key is None or len(items) != len(patch) or not all(isinstance(p, dict) for p in items):
        return copy.deepcopy(items)
    result = list(target) if isinstance(target, list) else []
    for item in items:
        if merge_key not in item:
            raise BadPatch(f"map does not contain declared merge key: {merge_key}")
        at = next((i for i, old in enumerate(result) if old.get(merge_key) == item[merge_key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(strategic({}, item))
        else:
            result[at] = strategic(result[at], item)
    return result


def _tokens(path):
    if path == "":
        return []
    if not isinstance(path, str) or not path.startswith("/"):
        raise BadPatch(f"path {path!r} does not start with /")
    return [t.replace("~1", "/").replace("~0", "~") for t in path[1:].split("/")]


def _index(token, length, path):
    if not token.isdigit() or (len(token) > 1 and token[0] == "0") or int(token) >= length:
        raise PatchFailed(f"invalid array index in {path}")
    return int(token)


def _get(doc, path):
    for token in _tokens(path):
        if isinstance(doc, dict) and token in doc:
            doc = doc[token]
        elif isinstance(doc, list):
            doc = doc[_index(token, len(doc), path)]
        else:
            raise PatchFailed(f"{path} does not exist")
    return doc


def _put(doc, path, value, must_exist):
    tokens = _tokens(path)
    if not tokens:
        return value
    parent = _get(doc, "".join("/" + t.replace("~", "~0").replace("/", "~1") for t in tokens[:-1]))
    last = tokens[-1]
    if isinstance(parent, dict):
        if must_exist and last not in parent:
            raise PatchFailed(f"replace operation does not apply: doc is missing key: {path}")
        parent[last] = value
    elif isinstance(parent, list):
        if must_exist:
            parent[_index(last, len(parent), path)] = value
        elif last == "-":
            parent.append(value)
        else:
            parent.insert(_index(last, len(parent) + 1, path), value)
    else:
        raise PatchFailed(f"{path} is inside a scalar")
    return doc


def _remove(doc, path):
    tokens = _tokens(path)
    if not tokens:
        raise PatchFailed("the whole document cannot be removed")
    value = _get(doc, path)
    parent = _get(doc, "".join("/" + t.replace("~", "~0").replace("/", "~1") for t in tokens[:-1]))
    if isinstance(parent, dict):
        del parent[tokens[-1]]
    else:
        del parent[_index(tokens[-1], len(parent), path)]
    return value


def json_patch(target, operations):
    """RFC 6902: all operations or none."""
    if not isinstance(operations, list):
        raise BadPatch("a JSON patch is an array of operations")
    doc = copy.deepcopy(target)
    for op in operations:
        if not isinstance(op, dict) or "op" not in op or "path" not in op:
            raise BadPatch("a JSON patch operation needs op and path")
        name, path = op["op"], op["path"]
        if name in ("add", "replace", "test") and "value" not in op or name in ("move", "copy") and "from" not in op:
            raise BadPatch(f"{name} {path} is incomplete")
        if name == "test":
            if not same(_get(doc, path), op["value"]):
                raise PatchFailed(f"testing value {path} failed: test failed")
        elif name in ("add", "replace"):
            doc = _put(doc, path, copy.deepcopy(op["value"]), name == "replace")
        elif name == "remove":
            _remove(doc, path)
        elif name == "move":
            doc = _put(doc, path, _remove(doc, op["from"]), False)
        elif name == "copy":
            doc = _put(doc, path, copy.deepcopy(_get(doc, op["from"])), False)
        else:
            raise BadPatch(f"unknown operation {name!r}")
    return doc


def differences(before, after, path="", limit=40):
    """The leaves that differ as [path, before, after]; absent is None."""
    if same(before, after):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted(before.keys() | after.keys()):
            found += differences(before.get(key), after.get(key), f"{path}/{key}", limit)
        return found[:limit]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        found = []
        for i, (a, b) in enumerate(zip(before, after)):
            found += differences(a, b, f"{path}/{i}", limit)
        return found[:limit]
    return [[path, before, after]]
