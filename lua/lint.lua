-- SPDX-License-Identifier: Apache-2.0
-- What can be said of a runbook's code without running it. Each finding: line, column, rule, why, mend. Only what is
-- wrong in every reading is found; of values that lint does not know it says nothing.

local syntax = host.module("syntax")
local walk = host.module("syntax_walk")
local types = host.module("lint_types")
local calls = host.module("lint_calls")
local sort = host.module("prelude").sort

local lint = {}

-- What a runbook sees, beside its plugins. Verbs pass the gate, or end the run.
local verbs = {
  "observe", "known", "hypothesis", "diagnose", "remedy", "temporarily", "wait_until", "sleep", "parallel", "each", "ask",
  "manual", "notify", "note", "measure", "follow_up", "resolve", "no_action", "refuse", "escalate", "try", "any", "all", "none",
}
local ambient = {
  "NONE", "params", "run", "trigger", "now", "list", "stats", "text", "ms", "seconds", "minutes", "hours", "days", "percent",
  "kib", "mib", "gib", "assert", "error", "getmetatable", "ipairs", "load", "next", "pairs", "rawequal", "rawget", "rawlen",
  "rawset", "require", "select", "setmetatable", "tonumber", "tostring", "type", "string", "table", "math", "utf8", "_ENV",
}
local endings = { resolve = true, no_action = true, refuse = true, escalate = true }
local passes_gate = {
  observe = true, remedy = true, temporarily = true, wait_until = true, sleep = true, parallel = true, each = true, ask = true,
  manual = true, notify = true, note = true, measure = true, follow_up = true, diagnose = true, ["trigger.firing"] = true,
}

local tree, input, findings, globals, global_names

local function found(at, rule, why, mend)
  local line, column = tree.place(at)
  findings[#findings + 1] = { line = line, column = column, rule = rule, why = why, mend = mend }
end

local function nearest(name, candidates)
  local near = #name > 1 and host.nearest(name, candidates)
  return near and string.format("did you mean '%s'?", near)
end

local function sorted_names(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  return names
end

local function there_is(names)
  if #names == 0 then
    return "its instance declares nothing: midwatch.yaml does, or --config FILE; for the shipped runbooks: --config "
      .. "runbooks/midwatch.example.yaml"
  end
  sort(names)
  return "there is: " .. table.concat(names, ", ")
end

local function source(node)
  local text = string.gsub(string.sub(tree.text, node.at, node.to), "%s+", " ")
  return #text > 60 and string.sub(text, 1, 57) .. "..." or text
end

local rules = {}

-- Names

-- What people look for under another name.
local instead = {
  print = "note(text)", log = "note(text)", warn = "note(text)", pcall = "try(fn)", xpcall = "try(fn)",
  os = "now(); programs are commands: of midwatch.yaml", io = "files and programs are commands: of midwatch.yaml",
  dofile = "require \"name\"", coroutine = "parallel { f, ... }", debug = "note(text)", exit = "resolve or escalate",
}

rules.name = function(node, parent)
  if node.var or globals[node.name] or input.targets[node] or (parent and parent.k == "define") then return end
  found(node.at, "no_global", string.format("there is no '%s'", node.name),
    instead[node.name] or nearest(node.name, global_names) or "declare it: local " .. node.name)
end

local function assigned(target)
  if target.k ~= "name" or target.var then return end
  local why = globals[target.name] and "is part of the language and cannot be assigned" or "is assigned, but nowhere declared"
  found(target.at, "global_assigned", string.format("'%s' %s", target.name, why), "use local")
end

rules.assign = function(node)
  for _, target in ipairs(node.targets) do assigned(target) end
end

rules.define = function(node) assigned(node.target) end

local function shadows(var)
  if not globals[var.name] or var.what == "hidden" or var.name == "_ENV" then return end
  found(var.at, "shadowed", string.format("'%s' is a word of the language; behind this it means something else", var.name),
    "give it another name")
end

rules["local"] = function(node) for _, var in ipairs(node.vars) do shadows(var) end end
rules.each = rules["local"]
rules["for"] = function(node) shadows(node.var) end
rules.localfunc = function(node) shadows(node.var) end
rules.func = function(node) for _, var in ipairs(node.params) do shadows(var) end end

-- Members: what a plugin, a thing, a group, a record has

local function member(at, what, t, name)
  if types.member(t, name) then return end
  local names = types.members(t)
  found(at, "no_member", string.format("%s has no '%s'", what, name), nearest(name, names) or there_is(names))
end

local function field(at, what, fields, name)
  if fields[name] then return end
  local names = sorted_names(fields)
  found(at, "no_field", string.format("%s has no '%s'", what, name), nearest(name, names) or there_is(names))
end

local function plain_name(node)
  node = walk.bare(node)
  return node.k == "name" and node.name or "it"
end

rules.index = function(node)
  local t = types.of(node.object)
  if not t or node.key.k ~= "string" then
    local object = walk.bare(node.object)
    if object.k == "name" and not object.var and object.name == "params" and node.key.k == "string" then
      input.used[node.key.value] = true
      field(node.key.at, "the runbook", input.params, node.key.value)
    end
    return
  end
  local name, at = node.key.value, node.key.at
  if t.is == "face" then
    member(at, t.alias, t, name)
  elseif t.is == "group" then
    field(at, "the group " .. plain_name(node.object), t.fields, name)
  elseif t.is == "record" then
    field(at, "a record of " .. plain_name(node.object), t.fields, name)
  elseif t.is == "read" then
    found(at, "not_observed", string.format("%s only says what to look up; it has no '%s' before it is observed",
      source(node.object), name), string.format("observe(...).%s, or name it in a group", name))
  end
end

rules.method = function(node)
  local t = types.of(node.object)
  if t and t.is == "thing" then member(node.name_at, "a " .. t.name, t, node.name) end
  calls.check(node)
end

-- Conditions and what is not known

local compares = { ["=="] = true, ["~="] = true, ["<"] = true, ["<="] = true, [">"] = true, [">="] = true }

-- Is it a field of what observe returned?
local function observed(node)
  node = walk.bare(node)
  if node.k ~= "index" or node.key.k ~= "string" then return false end
  local t = types.of(node.object)
  return t ~= nil and t.is == "group"
end

local function compared(node)
  for _, pair in ipairs { { node.left, node.right }, { node.right, node.left } } do
    local one, other = walk.bare(pair[1]), walk.bare(pair[2])
    if one.k == "call" and walk.called(one) == "text.of" then
      found(one.at, "text_compared",
        "text.of gives words for people (\"unknown (no data)\" among them); this compares words",
        "compare the value itself, or ask known(group, name)")
    elseif other.k == "nil" and observed(one) then
      found(node.op_at, "nil_compared",
        string.format("%s is never nil: where it is not known, looking at it raises", source(one)),
        "ask known(group, name), or give its read a default: { absent = ... }")
    end
  end
end

local says_yes_or_no = {
  known = true, any = true, all = true, none = true, wait_until = true, ["text.has"] = true, ["list.contains"] = true,
  ["text.version"] = true, ["trigger.firing"] = true, manual = true,
}

local function may_be_false(node)
  node = walk.bare(node)
  if node.k == "false" or node.k == "nil" then return true end
  if node.k == "binary" then return compares[node.op] or false end
  if node.k == "unary" then return node.op == "not" end
  if node.k == "call" and says_yes_or_no[walk.called(node) or ""] then return true end
  local t = types.of(node)
  return t ~= nil and t.is == "value" and t.of == "boolean"
end

local function either(node)
  local left = walk.bare(node.left)
  if left.k == "binary" and left.op == "and" and may_be_false(left.right) then
    found(left.op_at, "and_or",
      string.format("`a and b or c` gives c also where a holds and b (%s) is false", source(left.right)),
      "write it with if and else")
  elseif observed(left) and not may_be_false(left) and types.of(left).is == "value" then
    local right = walk.bare(node.right)
    if right.k == "number" or right.k == "string" or right.k == "nil" or right.k == "false" then
      found(node.op_at, "default_unused",
        string.format("%s is never nil: where it is not known, looking at it raises, and %s is never taken", source(left),
          source(right)),
        "give its read a default: { absent = ... }")
    end
  end
end

rules.binary = function(node)
  if compares[node.op] then compared(node) end
  if node.op == "or" then either(node) end
end

-- Effects and waits

local function option(node, name)
  for _, item in ipairs(node.items) do
    if item.k == "field" and item.name == name then return item.value end
    if item.k == "pair" then return item end        -- it may be
  end
  return nil
end

local function is_filled_later(var)
  return var ~= nil and input.filled[var] == true
end

local function remedy(node)
  if not node.args[2] then return end
  local last = node.args[#node.args].k
  local opts, var = calls.constructor(node.args[3])
  if (node.args[3] == nil and last ~= "call" and last ~= "vararg" and last ~= "method")
    or (opts and not option(opts, "verify") and not is_filled_later(var)) then
    found(node.at, "no_verify", "this remedy has no verify: nothing would prove that it helped",
      "{ verify = function() ... end }, or { verify = \"applied\" }")
  end
end

local function wait_until(node)
  local opts, var = calls.constructor(node.args[2])
  if opts and not option(opts, "within") and not is_filled_later(var) then
    found(node.at, "no_bound", "this wait has no end", "say how long: { within = \"10m\" }")
  end
end

local function call_inside(body, wanted)
  local hit
  walk.all(body, function(node)
    if node.k == "func" then return false end
    if not hit and node.k == "call" and wanted[walk.called(node) or ""] then hit = node end
  end)
  return hit
end

local function loop(node)
  if call_inside(node.body, { sleep = true }) then
    found(node.at, "no_bound", "a loop that sleeps has no bound: it can wait for ever",
      "wait_until(title, { every = ..., within = ... }, function() ... end)")
  end
end
rules["while"], rules["repeat"] = loop, loop

local function sorted(node)
  local order = node.args[2] and walk.bare(node.args[2])
  if order and order.k == "name" and order.var then order = order.var.made end
  local hit = order and order.k == "func" and call_inside(order.body, passes_gate)
  if hit then
    found(hit.at, "verb_in_sort", string.format("%s inside the order of table.sort is refused", walk.called(hit)),
      "look first, sort then")
  end
end

-- The arms that a place lies in: place of the `if` -> number of the arm. Where two places lie in different arms of one `if`, a
-- run reaches one of them only; not inside a loop or a function, which may take the one and then the other.
local function arms_of(at)
  local arms, again = {}, false
  walk.all(tree.body, function(node)
    if node.at > at or node.to < at then return false end
    if node.k == "while" or node.k == "repeat" or node.k == "for" or node.k == "each" or node.k == "func" then again = true end
    if node.k ~= "if" or again then return end
    for i, clause in ipairs(node.clauses) do
      local body = clause.body
      if body[1] and body[1].at <= at and at <= body[#body].to then arms[node.at] = i end
    end
    local body = node.otherwise
    if body and body[1] and body[1].at <= at and at <= body[#body].to then arms[node.at] = 0 end
  end)
  return arms
end

local function exclusive(one, other)
  local arms = arms_of(other)
  for at, arm in pairs(arms_of(one)) do
    if arms[at] and arms[at] ~= arm then return true end
  end
  return false
end

local function observe(node)
  local what = node.args[1] and walk.bare(node.args[1])
  if not what or what.k ~= "table" then return end
  for _, item in ipairs(what.items) do
    if item.k == "field" then
      local places = input.names[item.name] or {}
      for _, before in ipairs(places) do
        if not exclusive(before, item.at) then
          found(item.at, "name_twice",
            string.format("'%s' is observed in line %d already; scenarios and evidence tell them apart by name", item.name,
              (tree.place(before))), "give it another name")
          break
        end
      end
      places[#places + 1] = item.at
      input.names[item.name] = places
    end
  end
end

local checked_calls = { remedy = remedy, wait_until = wait_until, ["table.sort"] = sorted, observe = observe }

rules.call = function(node)
  local check = checked_calls[walk.called(node) or ""]
  if check then check(node) end
  calls.check(node)
end

rules.invoke = function(node)
  local called, t = walk.called(node.call), types.of(node.call)
  if called == "known" then
    found(node.at, "known_unused", "what known says is not used", "if known(...) then ... end")
  elseif t and (t.is == "read" or t.is == "effect") then
    found(node.at, "value_unused",
      string.format("%s only describes %s; by itself it does nothing", source(node), t.is == "read" and "a read" or "an effect"),
      t.is == "read" and "observe(...)" or "remedy(title, ..., { verify = ... })")
  end
end

-- Tables

rules.table = function(node)
  local seen = {}
  for i, item in ipairs(node.items) do
    if item.k == "item" and walk.bare(item.value).k == "nil" then
      found(item.at, "hole", "nil in a list makes a hole: how long the list is, is not determined", "leave it out, or use false")
    elseif item.k == "field" then
      if seen[item.name] then
        found(item.at, "field_twice", string.format("'%s' is given twice; the first one is lost", item.name), "remove one")
      end
      seen[item.name] = i
    end
  end
end

-- t[#t + n]
local function appended(target)
  if target.k ~= "index" then return end
  local key = walk.bare(target.key)
  if key.k ~= "binary" or key.op ~= "+" then return end
  local length, by = walk.bare(key.left), walk.bare(key.right)
  if length.k == "unary" and length.op == "#" and source(length.operand) == source(target.object) and by.k == "number"
    and by.value ~= 1 then
    found(key.at, "hole", string.format("%s leaves a hole: how long the list is, is not determined", source(target)),
      string.format("%s[#%s + 1]", source(target.object), source(target.object)))
  end
end

local function fills(node)
  for _, target in ipairs(node.targets) do
    input.targets[target] = true
    appended(target)
    local object = target.k == "index" and walk.bare(target.object)
    if object and object.k == "name" and object.var then input.filled[object.var] = true end
  end
end

-- The order of statements

local ends_run

local function body_ends(body)
  local last = body[#body]
  return last ~= nil and ends_run(last)
end

-- True if nothing behind this statement can be reached.
function ends_run(node)
  if node.k == "invoke" then return endings[walk.called(node.call) or ""] or false end
  if node.k == "block" then return body_ends(node.body) end
  if node.k ~= "if" or not node.otherwise then return false end
  for _, clause in ipairs(node.clauses) do
    if not body_ends(clause.body) then return false end
  end
  return body_ends(node.otherwise)
end

local function order(body)
  for i = 1, #body - 1 do
    if ends_run(body[i]) and body[i + 1].k ~= "label" then
      local line = tree.place(body[i].at)
      found(body[i + 1].at, "not_reached", string.format("this is never reached: the run has ended in line %d", line),
        "remove it, or end the run under a condition")
      return
    end
  end
end

-- `prose`: lines that are no code, in order. A statement must not reach over one.
local function top_level(body)
  local prose, next = input.prose, 1
  for _, node in ipairs(body) do
    local first, last = tree.place(node.at), tree.place(node.to)
    while prose[next] and prose[next] < first do next = next + 1 end
    if prose[next] and prose[next] < last then
      found(node.at, "split", string.format("this statement goes on in another block, behind the prose of line %d", prose[next]),
        "keep a statement in one block")
    end
    if node.k == "return" then
      found(node.at, "return", "a return here ends the run without an outcome", "resolve, no_action or escalate")
    end
  end
end

local function unused_params()
  for _, name in ipairs(sorted_names(input.params)) do
    local param = input.params[name]
    if not input.used[name] and not input.used_all then
      findings[#findings + 1] = { line = param.line, column = param.column, rule = "param_unused",
        why = string.format("parameter '%s' is never used", name), mend = "use it, or remove it" }
    end
  end
end

-- params that goes somewhere else as a whole uses all of them.
local function whole_params(node, parent)
  if node.k == "name" and not node.var and node.name == "params" and not (parent and parent.k == "index" and parent.object == node
    and parent.key.k == "string") then
    input.used_all = true
  end
end

local function begin(given)
  input, findings, globals, global_names = given, {}, {}, {}
  input.used, input.names, input.filled, input.targets = {}, {}, {}, {}
  for _, name in ipairs(given.templates) do input.used[name] = true end
  for _, names in ipairs { verbs, ambient, sorted_names(given.declared), given.unknown_uses } do
    for _, name in ipairs(names) do
      if not globals[name] then global_names[#global_names + 1] = name end
      globals[name] = true
    end
  end
  types.begin(given.declared)
  calls.begin(found, nearest, given)
end

--- What is wrong with the code of a runbook: a list of { line, column, rule, why, mend } by place.
-- given: text (the chunk); declared: alias -> declarations; unknown_uses: aliases without; params: name -> {line, column};
-- templates: names of parameters that the front matter uses; used_all: the modules may use all of them; prose: numbers of
-- lines that are neither code nor blank; is_module: the text is that of a module.
function lint.check(given)
  local wrong
  begin(given)
  tree, wrong = syntax.parse(given.text)
  if not tree then
    return host.array { { line = wrong.line, column = wrong.column, rule = "syntax", why = wrong.message } }
  end
  walk.all(tree.body, function(node) if node.k == "assign" then fills(node) end end)
  walk.all(tree.body, function(node, parent)
    types.learn(node)
    whole_params(node, parent)
    if rules[node.k] then rules[node.k](node, parent) end
  end)
  walk.bodies(tree.body, order)
  if not input.is_module then
    top_level(tree.body)
    unused_params()
  end
  sort(findings, function(a, b)
    if a.line ~= b.line then return a.line < b.line end
    return a.column < b.column
  end)
  return host.array(findings)
end

return lint
