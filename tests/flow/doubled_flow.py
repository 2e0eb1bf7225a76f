#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A network that doubles every request, and a target that can refuse what comes twice by the generation that it rests on:
nothing happens twice, also where an undo rests on an effect whose outcome could be read back and whose target could not.

Prints `ok - name` or `not ok - name: why`."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import stand  # noqa: E402

PLUGIN = """
local function get(what) return json.decode(http({ method = "GET", url = instance.settings.url .. what, timeout = 5 }).body) end
local function state()
  local v = get("/state")
  if v.unknown then unknown("error", "the world says so") end
  return v
end
return plugin "box" {
  settings = { url = "string" },
  effects = {
    set = { args = { "value" }, params = { value = "integer" }, class = "ensure", target = "box", timeout = 5, state = state,
      want = function(a) return { value = a.value } end,
      check = function(_, _, _, key) return get("/key/" .. key).verdict end,
      apply = function(_, from, to, key)
        local body = json.encode { value = to.value, generation = from.generation, key = key }
        local status = http({ method = "PUT", url = instance.settings.url .. "/", body = body, timeout = 5 }).status
        if status == 409 then moved("HTTP 409") end
        if status ~= 200 then maybe("HTTP " .. status) end
      end },
  },
}
"""
MAY = "may:\n  - { effect: box.set, target: box }\nlimits: { cooldown: 0s }\n"
PROOF = '{ verify = "applied" }'
FAILING = '{ when = function() return true end, verify = function() return false end, within = "1s" }'
BOTH = "{ box.set(5), function() return box.set(7) end }"
WHILE = 'temporarily("it", box.set(5), { within = "1h" }, function() %s end) resolve "done"'
FAILED, RUNBOOK, RESOLVED = (3, "was undone"), (3, "enough"), (0, "done")
CUTS = (), (1,), (2,), (1, 2)
# name: code, what somebody else does, exit code and words, and the value at the end
CASES = {
    "undone by its remedy": (f'remedy("it", box.set(5), {FAILING})', None, FAILED, 1),
    "for a while": (WHILE % "", None, RESOLVED, 1),
    "for a while, and the run ends": (WHILE % 'escalate "enough"', None, RUNBOOK, 1),
    "two on one target": (f'remedy("it", {BOTH}, {FAILING})', None, FAILED, 1),
    "one inside another": (WHILE % 'temporarily("in", box.set(7), { within = "1h" }, function() end)', None, RESOLVED, 1),
    # What the first undo left is not known: the second finds another generation than the last that is.
    "two on one target, and the first undo": (f'remedy("it", {BOTH}, {FAILING})', None, (3, "could NOT be undone"), 5),
    "somebody else before the undo looks": (WHILE % "", "before", (3, "could NOT be undone"), 9),
    "somebody else behind its look": (WHILE % "", "behind", (3, "could NOT be undone"), 9),
}


class World:
    """A box. Changes number `cut` are done and not answered, and the next look at the box fails."""

    def __init__(self, cut, foreign=None):
        self.cut, self.foreign, self.value, self.generation = cut, foreign, 1, 4
        self.changes, self.asked, self.blind = {}, 0, False

    def move(self):
        self.foreign, self.value, self.generation = None, 9, self.generation + 1

    def put(self, body):
        if "generation" in body and body["generation"] != self.generation:
            return 409
        self.value, self.generation = body["value"], self.generation + 1
        self.changes[body["key"]] = self.changes.get(body["key"], 0) + 1
        return 200

    def change(self, body):
        self.asked += 1
        if self.asked == 2 and self.foreign == "behind":
            self.move()
        status, _ = self.put(body), self.put(body)
        self.blind = status == 200 and self.asked in self.cut
        return stand.answer_json({}, 500 if self.blind else status)

    def look(self):
        blind, self.blind = self.blind, False
        if blind and self.foreign == "before":
            self.move()
        return stand.answer_json({"unknown": True} if blind else {"value": self.value, "generation": self.generation})

    def answer(self, request):
        if request["method"] == "PUT":
            return self.change(json.loads(request["body"]))
        if request["path"] == "/state":
            return self.look()
        return stand.answer_json({"verdict": "applied" if request["path"].split("/")[-1] in self.changes else "absent"})


def wrong_with(box, world, value, run=1):
    """Nothing happened twice, every undo says what it rests on, and the run replays."""
    undos = [row for row in box.rows(run) if row["kind"] == "INTENT" and "undo_of" in row["args"]]
    if max(world.changes.values()) > 1:
        return f"changed so often: {world.changes}"
    if world.value != value:
        return f"the box is at {world.value} instead of {value}"
    if not all("generation" in row["args"]["from"] for row in undos):
        return f"an undo does not say what it rests on: {undos}"
    return stand.expect(box.command("replay", run, "--state", box.state), 0)


def cases(program, scratch, _):
    (scratch / "plugins").mkdir()
    (scratch / "plugins/box.lua").write_text(PLUGIN)
    world = World(())
    server = stand.Server(lambda request: world.answer(request))    # pylint: disable=unnecessary-lambda
    box = stand.Box(program, scratch / "box", f"plugins: ../plugins\ninstances: {{ box: {{ plugin: box, url: '{server.url}' }} }}\n",
                    "[box]")
    for name, (code, foreign, (status, words), value) in CASES.items():
        for cut in CUTS if value == 1 else ((1,),) if foreign else ((3,), (2, 3)):
            world = World(cut, foreign)
            wrong = stand.expect(box.run(code, MAY), status, words) or wrong_with(box, world, value)
            yield f"{name}: {cut} not answered", wrong
    for cut in CUTS:
        world = World(cut)
        wrong = stand.expect(box.run(f'remedy("a", box.set(5), {PROOF}) remedy("b", box.set(7), {PROOF}) resolve "done"', MAY), 0) or \
            stand.expect(box.command("undo", 1, "--state", box.state), 0) or wrong_with(box, world, 1, 2)
        yield f"undo of a run: {cut} not answered", wrong
    server.close()


if __name__ == "__main__":
    stand.main(__doc__, cases)
