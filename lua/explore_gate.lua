-- SPDX-License-Identifier: Apache-2.0
-- The gate while all paths are followed: `host` as the language sees it, with answers that nobody gave. Loaded before the
-- language, whose modules take what they need of `host` when they are loaded.

local fork = host.module("fork")
local undo = host.module("undo")
local symbols = host.module("symbols")

local real = { gate = host.gate }
-- What the modules of the language see from now on.
local function see(name, f) host.rawset(host, name, f) end
see("pcall", fork.pcall)

local gate = {}

local path                      -- what has happened on this path
local infos = {}                -- effect and arguments -> what the host says of it
local hypotheses = {}           -- title -> { line, supported, refuted, inconclusive }
local answered                  -- whether somebody may know an answer

--- What has happened on the path: { now, waited, effects, applied, branch, counters, asked, clock }; clock: what now() is, since
-- time passed last. Its events, in their order, are
-- { effect, outcome, undo, target } (what became of one that was sent), { state, target } (of a target: "already" or "error") and
-- { ask, kind, answer, by, of } (an answer of nil: nobody's).
function gate.path() return path end
--- The verdicts that hypotheses came to, on any path.
function gate.hypotheses() return hypotheses end

function gate.begin(started_ms)
  path = { now = started_ms, waited = 0, effects = {}, events = {}, applied = 0, calls = 0, branch = 1, branches = 1,
    prefix = "", planned = {}, reads = {}, changed = {} }
end

function gate.answers(yes) answered = yes end

local real_fail = host.fail
see("fail", function(text) return real_fail(symbols.plain(text)) end)
see("now", function() return path.now end)
see("branch", function() return path.branch end)

-- path.key = v, and back
local function set(key, v) undo.set(path, key, v) end

local function add(list, v) undo.set(path[list], #path[list] + 1, v) end

local function set_branch(branch, prefix, calls)
  set("branch", branch)
  set("prefix", prefix)
  set("calls", calls)
end

-- Side by side becomes one after another.
see("fork", function(fns)
  local branch, prefix, calls = path.branch, path.prefix, path.calls
  for i, fn in ipairs(fns) do
    set("branches", path.branches + 1)
    set_branch(path.branches, prefix .. (calls + 1) .. ".b" .. i .. ".", 0)
    fn()
  end
  set_branch(branch, prefix, calls + 1)
end)

local found                     -- a symbol was in what was told, or a text that stands for one
local vague = {}                -- those texts: face values hold them in the place of symbols

-- A copy with texts in the place of symbols, for the host; `pick(lo, hi)` gives a number for one.
local function told(v, pick)
  local data = symbols.of(v)
  if data then
    if data.kind == "number" then return pick(v, data) end
    v = symbols.plain(v)
    if type(v) == "string" and string.find(v, "<", 1, true) then found = true end
    return v
  end
  if vague[v] then found = true end
  if type(v) ~= "table" then return v end
  local copy = {}
  for key, x in pairs(v) do copy[key] = told(x, pick) end
  return host.is_array(v) and host.array(copy) or copy
end

local function as_text(_, data)
  found = true
  return { symbol = data.text }
end

-- The answer that the host has for a call, or nil.
local function known_answer(op, call, i, n)
  if not answered then return nil end
  found = false
  local args = told(call.args, as_text)
  local place = path.prefix .. path.calls
  if call.label then place = place .. "." .. call.label elseif n > 1 then place = place .. "." .. i end
  local answer = real.gate("answer", { { name = call.name, instance = call.instance, label = call.label, args = {
    op = op, part = i, path = place, args = args, symbolic = found, effects = path.applied, waited = path.waited,
    changed = path.applied > 0 and told(host.array(path.changed), as_text) or nil,
    text = type(call.args) == "table" and symbols.plain(call.args.text) or nil } } })
  if answer == host.null then return nil end
  return answer
end

-- Effects

local BIG = 2 ^ 53 // 1 | 0

local function lowest(v)
  local lo, hi, integer = symbols.interval(v)
  if lo == -math.huge then lo = math.min(-BIG, hi) end
  return integer and math.ceil(lo) or lo
end

local function highest(v)
  local lo, hi, integer = symbols.interval(v)
  if hi == math.huge then hi = math.max(BIG, lo) end
  return integer and math.floor(hi) or hi
end

-- What the host says of an effect with these arguments: target, class, undo, what `may` and policy say.
local function info_of(call, pick)
  local args = told(call.args.args, pick)
  local key = call.name .. "\0" .. call.instance .. "\0" .. host.encode(args)
  if not infos[key] then
    infos[key] = real.gate("effect", { { name = call.name, instance = call.instance, args = args } })
  end
  return infos[key]
end

local function describe_may(choice, text)
  return choice == 1 and text .. " is within what it may" or text .. " is beyond what it may"
end

-- Whether `may` permits a target whose name is not known.
local function when_named(info)
  local allowed = {}
  for k, v in pairs(info) do
    if k ~= "refused" and k ~= "why" then allowed[k] = v end
  end
  if fork.choose(2, info.target, describe_may, info.target) == 1 then return allowed end
  allowed.refused, allowed.why = "not_allowed", info.target .. " is not known before"
  return allowed
end

local function plan_info(call)
  local low, high = info_of(call, lowest), info_of(call, highest)
  if low.maybe and low.refused == "not_allowed" then return when_named(low) end
  if (low.refused == nil) == (high.refused == nil) then return low end
  local text = symbols.plain(call.args.text) or call.name
  local fine, beyond = low, high
  if low.refused then fine, beyond = high, low end
  if fork.choose(2, text, describe_may, text) == 1 then return fine end
  return { target = beyond.target, refused = beyond.refused, why = text .. " is not known before" }
end

local states = { nil, "is so already", "cannot be looked at" }
local state_words = { "other", "already", "error" }
local function describe_state(choice, target) return states[choice] and target .. " " .. states[choice] or nil end

local function plan_one(call)
  local info = plan_info(call)
  if info.refused then return { refused = info.refused, why = info.why, target = info.target } end
  local plan = { target = info.target, class = info.class, undo = info.undo, needs_approval = info.needs_approval,
    has_state = info.has_state, finds = info.finds }
  if not info.has_state then return plan end
  local state = fork.choose(3, info.target, describe_state, info.target)
  if state == 2 then plan.already = true end
  if state == 3 then plan.unknown, plan.why = "error", "it does not answer" end
  add("events", { state = state_words[state], target = info.target, finds = info.finds })
  return plan
end

local answers = {}

-- The latest plan of the effect on the target.
local function plan_of(name, target) return path.planned[name .. "\0" .. target] or {} end

function answers.plan(calls)
  local out = {}
  for i, call in ipairs(calls) do
    local known = known_answer("plan", call, i, #calls)
    if known then
      out[i] = known
    else
      local key = call.name .. " " .. tostring(symbols.plain(call.args.text)) .. path.applied .. "." .. path.waited
      if not path.planned[key] then undo.set(path.planned, key, plan_one(call)) end
      out[i] = {}
      for k, v in pairs(path.planned[key]) do out[i][k] = v end
    end
    undo.set(path.planned, call.name .. "\0" .. (out[i].target or ""), out[i])
  end
  return out
end

local function make_effect(args, name)
  return { kind = "effect", title = args.title, effect = name, target = args.target,
    text = string.format("%s: %s %s", args.title, name, args.target) }
end

local outcomes = { "applied", "refused", "moved", "unknown" }
local outcome_words = { "it is applied", "policy refuses it", "somebody else changes the target",
  "whether it was applied cannot be told" }
local function describe_outcome(choice) return outcome_words[choice] end

function answers.apply(calls)
  local call, args = calls[1], calls[1].args
  local known = known_answer("apply", call, 1, 1)
  if not known and plan_of(call.name, args.target).already then
    answers.skip { { name = args.title, args = { why = call.name .. " " .. args.target .. " is so already" } } }
    return { at = path.now, outcome = "already", path = path.prefix .. path.calls, row = path.calls }
  end
  local node = fork.mark(make_effect, args, call.name)
  local outcome = known and known.outcome or outcomes[fork.choose(4, "the effect", describe_outcome)]
  local place = path.prefix .. path.calls
  local effect = { effect = call.name, target = args.target, title = args.title, line = node.line, file = node.file, path = place,
    outcome = outcome, approved = args.approval ~= nil or nil, temporary = args.within ~= nil or nil,
    undo = plan_of(call.name, args.target).undo, needs_approval = plan_of(call.name, args.target).needs_approval }
  add("effects", effect)
  add("events", { effect = call.name, outcome = outcome })
  if outcome == "unknown" then
    fork.leave { outcome = "escalated", reason = "unknown_effect", line = node.line, file = node.file,
      text = args.title .. ": whether it was applied cannot be told; a person settles it" }
  end
  if outcome == "applied" then
    set("applied", path.applied + 1)
    set("clock", nil)
    add("changed", { effect = call.name, instance = call.instance, target = args.target, to = args.to,
      path = place })
  end
  return known or { at = path.now, outcome = outcome, path = place, row = path.calls,
    refused = outcome == "refused" and "halted" or nil, why = describe_outcome(outcome == "refused" and 2 or 3) }
end

local function effect_at(place)
  for _, effect in ipairs(path.effects) do
    if effect.path == place then return effect end
  end
  return {}
end

local function describe_undo(choice) return choice == 1 and "it is undone" or "it cannot be undone" end

function answers.undo(calls)
  local effect = effect_at(calls[1].args.effect)
  local known = known_answer("undo", calls[1], 1, 1)
  if known then return known end
  for i = #path.changed, 1, -1 do
    if path.changed[i].path == calls[1].args.effect then
      undo.save(path.changed)
      table.remove(path.changed, i)
    end
  end
  if effect.undo == "not needed" then
    undo.set(effect, "outcome", "needs no undo")
    return { outcome = "not_needed" }
  end
  if effect.undo == "irreversible" then
    undo.set(effect, "outcome", "not undone")
    return { outcome = "refused", refused = "not_allowed", why = "the effect cannot be undone" }
  end
  local undone = fork.choose(2, "its undo", describe_undo) == 1
  add("events", { effect = effect.effect, target = effect.target, finds = plan_of(effect.effect, effect.target).finds,
    outcome = undone and "applied" or "moved", undo = true })
  if undone then
    undo.set(effect, "outcome", "undone")
    return { outcome = "applied" }
  end
  undo.set(effect, "outcome", "not undone")
  return { outcome = "moved", why = "somebody else has changed it" }
end

function answers.verify(calls)
  local args = calls[1].args
  known_answer("verify", calls[1], 1, 1)
  for _, place in ipairs(args.effects) do
    local effect = effect_at(place)
    undo.set(effect, "outcome", args.verdict == "holds" and (effect.temporary and "for a while" or "verified")
      or args.verdict == "refuted" and "did not help" or "not proven")
  end
  return { at = path.now }
end

local function make_skip(name, why) return { kind = "skip", text = string.format("%s is skipped: %s", name, why) } end

function answers.skip(calls)
  fork.mark(make_skip, calls[1].name, calls[1].args.why)
  add("effects", { title = calls[1].name, outcome = "skipped" })
  return { at = path.now }
end

-- People

local function make_question(title, args) return { kind = "ask", title = title, text = (args.kind or "ask") .. ": " .. title } end

local function describe_answer(choice, choices, args)
  if choices[choice] == nil then return "nobody answers" end
  if args.kind == "approval" then return choice == 1 and "it is approved" or "it is not approved" end
  return '"' .. choices[choice] .. '"'
end

function answers.ask(calls)
  local title, args = calls[1].name, calls[1].args
  fork.mark(make_question, title, args)
  local known = known_answer("ask", calls[1], 1, 1)
  if known then return known end
  local choices = args.choices
  local choice = fork.choose(#choices + 1, title, describe_answer, choices, args)
  add("events", { ask = title, kind = args.kind, answer = choices[choice], by = args.by, of = args.of })
  if choices[choice] == nil then
    gate.pass(args.within * 1000)
    return { why = "expired" }
  end
  return { answer = choices[choice], by = "somebody", path = path.prefix .. path.calls }
end

-- Time

--- Time passes.
function gate.pass(ms)
  set("now", path.now + math.ceil(ms))
  set("waited", path.waited + math.ceil(ms))
  if ms > 0 then set("clock", nil) end
end

function answers.wait(calls)
  known_answer("wait", calls[1], 1, 1)
  return { at = path.now }
end

function answers.timer(calls)
  gate.pass(calls[1].args.ms)
  return { at = path.now }
end

-- What adds to the report

local function nothing() return { at = path.now } end
answers.record, answers.notify = nothing, nothing

function answers.cause(calls)
  set("cause", calls[1].name)
  return { at = path.now }
end

local function make_verdict(title, verdict)
  return { kind = "verdict", title = title, verdict = verdict, text = title .. ": " .. verdict }
end

function answers.verdict(calls)
  local title, verdict = calls[1].name, calls[1].args.verdict
  local h = hypotheses[title]
  if not h then
    h = { title = title }
    hypotheses[title] = h
  end
  h[verdict] = true
  fork.mark(make_verdict, title, verdict)
  return { at = path.now }
end

-- Reads: what an answer is, is decided when it is looked at (lua/explore.lua).

local LATER = {}
local laters = {}
for i = 1, 256 do laters[i] = LATER end

local asked, taken              -- the reads of the call that is answered, and how many of its answers were taken

--- make(read, name, label) gives the entry of a read that nobody has answered.
function gate.later(make)
  LATER.later = function(read, name)
    taken = taken + 1
    return make(read, name, asked[taken] and asked[taken].label)
  end
end

-- Says which reads are about to be asked for, so that the host can make them at the same time.
local function announce(calls)
  local list = {}
  for i, call in ipairs(calls) do
    found = false
    list[i] = { name = call.name, instance = call.instance, label = call.label, args = told(call.args, as_text) }
    if found then return end
  end
  real.gate("answer", { { name = "reads", args = { op = "reads", args = host.array(list), effects = path.applied,
    waited = path.waited } } })
end

function answers.read(calls)
  asked, taken = calls, 0
  if not answered then return laters end
  local out = {}
  if #calls > 1 then announce(calls) end
  for i, call in ipairs(calls) do out[i] = known_answer("read", call, i, #calls) or LATER end
  return out
end

-- What leaves nothing behind but what lua/undo.lua takes back.
local taken_back = { read = true, wait = true, timer = true, record = true, notify = true, cause = true, verdict = true }

see("gate", function(op, calls)
  local answer = answers[op]
  if not answer then host.fail("no gate call is named " .. op) end
  if fork.is_trying() and not taken_back[op] then fork.give_up() end
  set("calls", path.calls + 1)
  return answer(calls)
end)

see("finish", function(op, calls)
  if op == "never" then fork.impossible() end
  local args, file, line = calls[1].args, host.where()
  fork.leave { outcome = calls[1].name, reason = args.reason, text = symbols.plain(args.text), file = file, line = line }
end)

-- Values of faces: the same arguments make the same value on every path.

local face = host.module("face")
local numbers, latest = {}, 0   -- value -> its number, the same on every path
local named = {}                -- on this path: reads that may have got a name

--- The name of a symbol, as it may stand in a target.
function gate.as_segment(text) return "<" .. string.sub(string.gsub(text, "[^%w_.-]+", "."), 1, 60) .. ">" end

-- An argument as the face may see it: texts are texts there, numbers stay symbols.
local function argument(v)
  local data = symbols.of(v)
  if data then
    if data.kind == "number" and symbols.single(data) == nil then return v end
    local plain = symbols.plain(v)
    if plain == "<" .. data.text .. ">" then plain = gate.as_segment(data.text) end
    if type(plain) == "string" and string.find(plain, "<", 1, true) then vague[plain] = true end
    return plain
  end
  if type(v) ~= "table" or getmetatable(v) ~= nil or face.is_value(v) then return v end
  local copy = {}
  for key, x in pairs(v) do copy[key] = argument(x) end
  return copy
end

-- A text for equal plain arguments, or nil if there are others.
local function key_of(v)
  local kind = type(v)
  if kind == "string" then return #v .. ":" .. v end
  if kind ~= "table" then return kind == "function" and "f" or tostring(v) end
  if symbols.of(v) or getmetatable(v) ~= nil then return nil end
  local parts = {}
  for k, x in pairs(v) do
    local key = key_of(x)
    if not key then return nil end
    parts[#parts + 1] = tostring(k) .. "=" .. key
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function itself(v) return v end

function face.constructor(f)
  local memo = {}
  return function(...)
    local args, key = table.pack(...), ""
    for i = 1, args.n do
      args[i] = argument(args[i])
      local one = key and key_of(args[i])
      key = one and key .. one .. ";"
    end
    local v = key and memo[key]
    if not v then
      v = f(table.unpack(args, 1, args.n))
      if not key then
        v = fork.same(itself, v)
      else
        memo[key], latest = v, latest + 1
        numbers[v] = latest
      end
    end
    undo.set(named, #named + 1, v)
    return v
  end
end

--- The number of a value that every path has, or nil.
function gate.number_of(v) return numbers[v] end

function face.call(read, name)
  if not read.request.called then undo.set(read.request, "called", name) end
end

--- As if no read had got a name on this path.
function gate.forget()
  for i = 1, #named do
    local read = face.read_of(named[i])
    if read then read.request.called = nil end
  end
  named = {}
end

--- Asks the host itself.
gate.host = real.gate

return gate
