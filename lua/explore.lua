-- SPDX-License-Identifier: Apache-2.0
-- All paths of a runbook: the program and the language as they are, with a few functions of the language in another form:
-- reads answer later, a look is a scope, a wait jumps to its end, what is ambient is not known.

local setup = ...
local fork = host.module("fork")
local undo = host.module("undo")
local gate = host.module("explore_gate")
local symbols = host.module("symbols")
local touch = host.module("symbols_narrow").touch
local shape = host.module("symbols_shape")
host.module("symbols_text")
local checked = host.module("checked")
local prelude = host.module("prelude")
local observe = host.module("observe")
local wait = host.module("wait")
local ending = host.module("ending")
local language = host.module("language")
local state = host.module("explore_state")
local steps = host.module("steps")

local explore = {}

local notes, note_list          -- what was not explored: key -> { line, file, what, why }

local function note(what, why, file, line)
  if not file then file, line = host.where() end
  local key = what .. why .. file .. line
  if notes[key] then return end
  notes[key] = { what = what, why = why, file = file, line = line }
  note_list[#note_list + 1] = notes[key]
end

-- Reads

local function describe_known(choice, entry)
  if choice == 1 then return nil end
  if choice == 2 and entry.read.absent ~= nil then return entry.name .. " is not there" end
  return entry.name .. " is unknown"
end

-- What is known of the answer: decided when it is first asked for.
local function decide(entry)
  local read = entry.read
  local has_default = read.absent ~= nil
  local choice, node = fork.choose(has_default and 3 or 2, entry.name, describe_known, entry)
  if not node.roots then node.roots, node.unknown, node.read = entry.roots, has_default and 3 or 2, entry.name end
  touch(entry)
  undo.set(entry, "decided", true)
  undo.set(entry, "choice", choice)
  if choice == 1 then
    undo.set(entry, "v", shape.value(read.returns, entry.name, { unit = read.unit, known = read.known, roots = entry.roots }))
  elseif choice == 2 and has_default then
    undo.set(entry, "v", read.absent)
  else
    undo.set(entry, "u", "no_data")
    undo.set(entry, "w", "nobody knows it on this path")
  end
end

local entry_meta = {
  __index = function(entry, key)
    if key ~= "unknown" and key ~= "value" and key ~= "why" then return nil end
    fork.look(entry.id)
    if not entry.decided then decide(entry) end
    if key == "unknown" then return entry.u or nil end
    if key == "why" then return entry.w or nil end
    return entry.v
  end,
}

local function new_entry(read, name, label)
  local path = gate.path()
  return setmetatable({ name = name, row = path.calls, unit = read.unit, read = read, decided = false, u = false, w = false,
    choice = false, label = label or false, applied = path.applied, waited = path.waited }, entry_meta)
end

gate.later(function(read, name, label)
  local entry = fork.same(new_entry, read, name, label)
  local id = fork.new_id(name, entry)
  entry.id, entry.roots = id, { [id] = fork.who(id) }
  local reads = gate.path().reads
  undo.set(reads, #reads + 1, entry)
  return entry
end)

undo.keep(observe.keeper, observe.looked)
undo.keep(ending.keeper)
undo.keep(host.module("approve").keeper)

-- Looks and waits

local real_look = prelude.look

local function verdict_of(ok, verdict, detail)
  return ok and verdict or "error", verdict == "inconclusive" and detail or not ok and prelude.message(verdict) or nil
end

prelude.look = function(fn)
  local ok, verdict, detail = fork.scope("look", nil, function() return real_look(fn) end, verdict_of)
  if not ok then host.error(verdict, 0) end
  return verdict, detail
end

local real_until = wait.until_holds
wait.until_holds = function(deadline, every, look, stop)
  local left = deadline - host.now()
  local can_look = setup.is_plan and gate.path().applied == 0 and gate.path().waited == 0
  if not can_look and left > 0 then wait.pause(left / 1000) end
  return real_until(deadline, every, look, stop)
end
-- One look at the end of a wait is enough; what is to hold for a while is looked at once more behind it.
wait.every = function() return setup.one_look_s end

-- `public` functions of the language whose result is all that counts.
local function as_scope(module, name, kind, result_of)
  local public = host.module(module).public
  local real = public[name]
  public[name] = function(...)
    local args = table.pack(...)
    local title = type(args[1]) == "string" and args[1] or nil
    local accepts = kind == "cause" and type(args[1]) == "table" and args[1].accept_inconclusive
    local back = table.pack(fork.scope(kind, title, function() return real(table.unpack(args, 1, args.n)) end, result_of,
      accepts and true or nil))
    if not back[1] then host.error(back[2], 0) end
    return table.unpack(back, 2, back.n)
  end
end

as_scope("wait", "wait_until", "wait", function(ok, holds) return ok and (holds and "holds" or "refuted") or "inconclusive" end)
as_scope("remedy", "remedy", "remedy", function(ok, r) return ok and r.outcome or "error" end)
as_scope("diagnose", "diagnose", "cause", function(ok, cause) return ok and cause.title or "error" end)

-- Texts that the language wants from the code

local function plain_table(t)
  local copy
  for key, v in pairs(t) do
    if symbols.of(v) then
      if not copy then
        copy = {}
        for k, x in pairs(t) do copy[k] = x end
      end
      copy[key] = symbols.plain(v)
    end
  end
  return copy or t
end

local SOME_SECONDS = 60

local function plain_argument(v, number)
  local data = symbols.of(v)
  if data then
    if data.kind == "number" then return symbols.single(data) or number end
    return symbols.plain(v)
  end
  if type(v) == "table" and getmetatable(v) == nil then return plain_table(v) end
  return v
end

local function with_plain(f, number)
  return function(...)
    local args = table.pack(...)
    for i = 1, args.n do args[i] = plain_argument(args[i], number) end
    return f(table.unpack(args, 1, args.n))
  end
end

local texts = { record = { "note", "follow_up", "measure", "notify" }, people = { "ask", "manual" }, remedy = { "remedy" },
  temporarily = { "temporarily" } }
for module, names in host.rawpairs(texts) do
  local public = host.module(module).public
  for _, name in ipairs(names) do public[name] = with_plain(public[name], 0) end
end
host.module("wait").public.sleep = with_plain(host.module("wait").public.sleep, SOME_SECONDS)
for name, verb in host.rawpairs(host.module("ending").public) do language[name] = with_plain(verb, 0) end

host.rawset(table, "concat", symbols.concat)

local text = host.module("text")
text.of = function(group, name)
  local entry = observe.entry(group, name)
  return "<" .. entry.name .. ">"
end

-- Which version is the later one is one question, however many parts they have.
local real_version = text.version
text.version = function(a, op, b)
  if not symbols.of(a) and not symbols.of(b) then return real_version(a, op, b) end
  local data, said = symbols.of(a) or symbols.of(b), "version " .. symbols.spell(a) .. " "
  return symbols.free(data.var, said .. op .. symbols.spell(b), said .. op .. " " .. symbols.spell(b),
    said .. "not " .. op .. " " .. symbols.spell(b))
end

local list = host.module("list")
local real_where, real_by, real_top = list.where, list.by, list.top

local function is_many(l)
  local data = shape.of(l)
  return data and data.count == 2
end

local function said_of(condition)
  if type(condition) ~= "table" then return "what is looked for" end
  local parts = {}
  for key, v in pairs(condition) do parts[#parts + 1] = key .. " == " .. symbols.spell(v) end
  return table.concat(parts, " and ")
end

local function condition_of(c)
  if type(c) == "function" then return c end
  return function(item)
    for key, v in pairs(c) do
      if checked.ops.ne(item[key], v) then return false end
    end
    return true
  end
end

function list.where(l, c)
  if is_many(l) and (type(c) == "function" or type(c) == "table") then return shape.where(l, condition_of(c), said_of(c)) end
  return real_where(l, c)
end
-- Whether a value that is not known is in a list, or one of several texts in another, is one question.
local real_contains, real_has = list.contains, text.has

function list.contains(l, v)
  local data = symbols.of(v)
  for i = 1, data and 0 or rawlen(l) do data = data or symbols.of(l[i]) end
  if not data or (rawlen(l) < 2 and rawlen(l) > 0) then return real_contains(l, v) end
  local parts = {}
  for i = 1, rawlen(l) do parts[i] = symbols.spell(l[i]) end
  local said = symbols.spell(v) .. " in {" .. table.concat(parts, ", ") .. "}"
  return #parts > 0 and symbols.free(data.var, said, symbols.spell(v) .. " is" .. string.sub(said, #symbols.spell(v) + 1),
    symbols.spell(v) .. " is not" .. string.sub(said, #symbols.spell(v) + 1))
end

function text.has(s, ...)
  local data, n = symbols.of(s), select("#", ...)
  if not data or data.kind ~= "string" or symbols.single(data) ~= nil or n < 2 then return real_has(s, ...) end
  local parts = {}
  for i = 1, n do parts[i] = symbols.spell((select(i, ...))) end
  local words = table.concat(parts, ", ")
  symbols.put(data.var, "one_has", "one of " .. words, { ... })
  return symbols.free(data.var, "one of " .. words, data.text .. " has one of " .. words, data.text .. " has none of " .. words)
end

-- In which order they come makes no other path.
function list.by(l, field) return is_many(l) and l or real_by(l, field) end
function list.top(l, n, field) return is_many(l) and (n >= 2 and l or host.array { l[1] }) or real_top(l, n, field) end

-- What is ambient

local function unknown_number(name, options)
  return function() return symbols.number(name, options or {}) end
end

local real_now = language.now
language.now = function()
  local path = gate.path()
  if setup.is_plan and path.waited == 0 and path.applied == 0 then return real_now() end
  if not path.clock then
    local later = path.waited > 0 and " after " .. symbols.spell_number(path.waited / 1000, "s") or ""
    undo.set(path, "clock", symbols.number("now()" .. later, {}))
    symbols.of(path.clock).var.waited = path.waited / 1000
  end
  return path.clock
end

local params = language.params
local branched = {}             -- parameters that the code branches on: name -> { type, one_of }
for _, p in ipairs(setup.branched) do branched[p.name] = p end

local function describe_flag(choice, p) return (choice == 1 and "" or "not ") .. "params." .. p.name end
local function describe_given(choice, p) return "params." .. p.name .. (choice == 1 and " is given" or " is not given") end

local function parameter(p)
  local name = "params." .. p.name
  if p.optional and fork.choose(2, name, describe_given, p) == 2 then return nil end
  if p.type == "boolean" then return fork.choose(2, name, describe_flag, p) == 1 end
  if p.type == "string" then return symbols.string(name, { stands_for = params[p.name], one_of = p.one_of }) end
  local unit = p.type == "duration" and "s" or nil
  return symbols.number(name, { integer = p.type == "integer", lo = p.min, hi = p.max, unit = unit })
end

language.params = setmetatable({}, {
  __index = function(_, key)
    local p = branched[key]
    if not p then return params[key] end
    local path = gate.path()
    if not (path.params and path.params[key]) then symbols.put(path, "params", key, { value = parameter(p) }) end
    return path.params[key].value
  end,
  __newindex = function() host.fail("params is read-only") end,
  __pairs = function() return pairs(params) end,
})

local kinds = { "alert", "chat", "schedule", "watch", "cli", "api" }
local function describe_kind(choice) return 'trigger.kind == "' .. kinds[choice] .. '"' end

local function once(key, make)
  return function()
    local path = gate.path()
    if not path.ambient or path.ambient[key] == nil then symbols.put(path, "ambient", key, make()) end
    return path.ambient[key]
  end
end

local trigger = {
  kind = once("kind", function() return kinds[fork.choose(#kinds, "trigger.kind", describe_kind)] end),
  labels = once("labels", function() return shape.map("trigger.labels", {}) end),
  firing = function() return function()
    local path, yes = gate.path(), shape.boolean("trigger.firing()", {})
    symbols.put(path, "firing", path.firing and #path.firing + 1 or 1, yes)
    return yes
  end end,
}
local known_trigger, known_run = language.trigger, language.run
language.trigger = setmetatable({}, {
  __index = function(_, key)
    local make = trigger[key]
    if not make then host.fail(string.format("trigger has no field '%s' (has: firing, kind, labels)", tostring(key))) end
    return make()
  end,
  __newindex = function() host.fail("trigger is read-only") end,
})

local run = language.run
local requester = once("requester", function() return symbols.string("run.requester", {}) end)
local started = once("started", unknown_number("run.started"))
language.run = setmetatable({}, {
  __index = function(_, key)
    if key == "requester" then return requester() end
    if key == "started" then return started() end
    return run[key]
  end,
  __newindex = function() host.fail("run is read-only") end,
})

if setup.is_plan then language.trigger, language.run = known_trigger, known_run end

-- Modules of the repository are run again on every path: what they keep is the path's.
local loaded
language.require = function(name)
  if not setup.modules[name] then host.fail(string.format("no module '%s' in this run", tostring(name))) end
  if loaded[name] == nil then
    loaded[name] = host.module("program:" .. name)()
    if loaded[name] == nil then loaded[name] = true end
  end
  return loaded[name]
end

-- A plan says what the code compared while everything was known.

local decisions, decided        -- { line, file, text, yes }; line and text -> true

local scalar = { number = true, string = true, boolean = true }

local function decide_on(said, yes)
  if #decisions >= setup.decisions_max or fork.has_chosen() then return end
  local file, line = host.where()
  local key = file .. ":" .. line .. said
  if decided[key] then return end
  decided[key] = true
  decisions[#decisions + 1] = { file = file, line = line, text = said, yes = yes }
end

local function spell(v) return type(v) == "string" and string.format("%q", v) or symbols.spell(v) end

local function watched_comparison(ops, name, sign)
  local real = ops[name]
  ops[name] = function(a, b, line)
    local yes = real(a, b, line)
    if scalar[type(a)] and scalar[type(b)] then decide_on(spell(a) .. " " .. sign .. " " .. spell(b), yes) end
    return yes
  end
end

-- The program gets functions of its own: what the language compares is no decision.
local function watch_decisions()
  for _, name in ipairs { "options", "units", "face", "face_call", "face_make", "face_record", "face_things", "face_window",
    "record", "list", "text" } do host.module(name) end
  local ops, signs = {}, { lt = "<", le = "<=", gt = ">", ge = ">=", eq = "==", ne = "~=" }
  for name, f in host.rawpairs(checked.ops) do ops[name] = f end
  for name, sign in host.rawpairs(signs) do watched_comparison(ops, name, sign) end
  local truth = ops.t
  ops.t = function(a)
    if type(a) == "boolean" then decide_on(tostring(a), a) end
    return truth(a)
  end
  checked.ops = ops
end
if setup.is_plan then watch_decisions() end

-- Paths

local state_of = { observe = observe, diagnose = host.module("diagnose"), ending = ending,
  approve = host.module("approve"), gate = gate }

local noted                     -- what a program that notes its decisions has noted on this path (lua/cover.lua)
local ever_noted                -- and on any path that has a witness

local function note_decision(id, v)
  local yes = checked.ops.t(v)
  undo.set(noted, yes and id + 1 or id, true)
  return yes
end

local function begin()
  for _, module in host.rawpairs(state_of) do module.forget() end
  gate.begin(setup.started_ms)
  shape.begin()
  symbols.begin(checked, note)
  state.begin()
  state.name_function(0, note_decision)
  loaded, noted = {}, {}
end

local function failed(e)
  local file, line = fork.last_place()
  local at_file, at_line, words = string.match(prelude.message(e), "^([^\n:]+):(%d+): (.*)$")
  if prelude.is_inconclusive(e) then
    return { outcome = "escalated", reason = "no_data", text = prelude.message(e), file = e.chunk, line = e.line,
      uncaught = true }
  end
  if at_file == "?" or not string.find(at_file or "", ".", 1, true) then at_file, at_line = nil, nil end
  return { outcome = "escalated", reason = "error", text = words or prelude.message(e), file = at_file or file,
    line = tonumber(at_line) or line, uncaught = true }
end

-- A path from its beginning, or from where go_on(step, values) goes on.
local function path_of(program)
  return function(go_on, step, values)
    if not go_on then begin() end
    local ok, e = fork.pcall(go_on or program, step or note_decision, values)
    if not ok then fork.leave(failed(e)) end
    fork.leave { outcome = "escalated", reason = "fell_off_end", text = "the code ends without an outcome", file = setup.file,
      line = setup.last_line }
  end
end

-- Looks, where nothing is left to do at the end of the run. With --each, and for scenarios, every path is run from its
-- beginning.
local looks = { look = true, where = true }
fork.take_back_if(function(kind) return looks[kind] and setup.can_join and not setup.witness and ending.is_plain() end)

local function copy_of(effects)
  local copy = {}
  for i, effect in ipairs(effects) do
    copy[i] = {}
    for key, v in host.rawpairs(effect) do copy[i][key] = v end
  end
  return copy
end

local function tell_depth(depth) gate.host("passed", { { name = "passed", args = depth } }) end

-- What scenarios of the paths need (lua/explore_witness.lua). Paths that joined another are followed to an end of their own.

local JOINED_TRIES = 40

local function is_news()
  for id in pairs(noted) do
    if not ever_noted[id] then return true end
  end
  return false
end

local function remember_noted()
  for id in pairs(noted) do ever_noted[id] = true end
end

-- Paths that ended at another, but for those that have merged into one like it and decided nothing new.
local function follow_later(leaf, later)
  if not leaf.joined and not (leaf.merged and is_news()) then return end
  if leaf.merged then remember_noted() end
  later[#later + 1] = fork.choices()
end

local function send_witness(leaf)
  remember_noted()
  local hits, scenario, why = {}, host.module("explore_witness").of_path()
  for id in pairs(noted) do hits[#hits + 1] = id end
  gate.host("part", { { name = "witnesses", args = host.array { { cause = gate.path().cause, conditions = host.array(
    fork.conditions()), file = leaf.file, hits = host.array(hits), line = leaf.line, outcome = leaf.outcome,
    reason = leaf.reason, scenario = scenario, why = why } } } })
end

local function follow_joined(joined)
  for i, choices in ipairs(joined) do
    if gate.host("follow", { { name = "follow", args = i } }) then return end
    local tries, done = 0, false
    fork.explore(path_of(host.module("program")), function(leaf)
      tries = tries + 1
      done = leaf.outcome ~= nil
      if done then send_witness(leaf) end
    end, function() return not done and tries < JOINED_TRIES end, nil, nil, nil, choices)
  end
end

-- Modules of the repository keep what nobody takes back.
local function can_go_on(step, values)
  if ending.is_plain() then fork.here(steps.go_on, step, values) end
end

local function save_all(...)
  for i = 1, select("#", ...) do
    local v = select(i, ...)
    if type(v) == "table" and not symbols.of(v) then undo.save(v) end
  end
  return ...
end

--- Explores. Results go to the host in pieces: host calls "path" before each path, "part" at the end. Returns nothing.
function explore.run()
  notes, note_list, decisions, decided = {}, {}, {}, {}
  gate.answers(setup.is_answered)
  checked.replace { fn = state.name_function, watch = state.watch, keep = state.keep, save = save_all,
    at = setup.can_join and fork.at or nil }
  steps.watch(next(setup.modules) == nil and can_go_on or nil)
  local tree = host.module("explore_tree")
  local explored, ended, joined = 0, "all", {}
  ever_noted = {}
  if setup.witness then host.module("explore_witness").begin(setup.witness, setup.started_ms / 1000) end
  local function each(leaf)
    explored = explored + 1
    if leaf.outcome then leaf.effects = copy_of(gate.path().effects) end
    if setup.witness and leaf.outcome then send_witness(leaf) end
    if setup.witness then follow_later(leaf, joined) end
    if leaf.bound then note(leaf.bound, leaf.why, leaf.file, leaf.line) end
  end
  local function report(runs)
    local word = gate.host("path", { { name = "path", args = host.array { runs, explored } } })
    if word then ended = word end
    return not word
  end
  local watched = setup.watch
  if watched then watched = { from = watched.from, stops = watched.stops, passed = tell_depth } end
  local root, all = fork.explore(path_of(host.module("program")), each, report, setup.can_merge and state.watched, watched,
    setup.can_join and state or nil)
  tree.send(root, { explored = explored, ended = all and "all" or ended, notes = note_list, hypotheses = gate.hypotheses(),
    decisions = decisions })
  follow_joined(joined)
end

return explore
