-- SPDX-License-Identifier: Apache-2.0
-- The rules of lint about what a call is given: options that a verb or a read has not, effects that `may` does not name,
-- channels that nobody configured, queries that mean something else than they seem to.

local walk = host.module("syntax_walk")
local types = host.module("lint_types")

local calls = {}

local person = { at = 3, keys = { "to", "within", "otherwise" } }

-- Where a verb takes its options, and which.
local verbs = {
  remedy = { at = 3, keys = { "verify", "when", "skip_if", "within", "every", "first_look", "hold", "on_failure", "approve",
    "batch", "pause", "between", "stop_after_errors" } },
  temporarily = { at = 3, keys = { "within", "approve" } },
  wait_until = { at = 2, keys = { "every", "within", "stop_if" } },
  each = { at = 2, keys = { "at_once", "stop_after_errors" } },
  ask = person, manual = person,
  hypothesis = { at = 1, keys = { "likelihood", "impact", "evidence", "test" } },
}
local approve_keys = { "by", "of", "within", "text", "once", "over" }
local read_keys = { "absent", "max_age", "window" }

local found, nearest, given

--- Begins a text. find(at, rule, why, mend); near(name, names): "did you mean ...?", or nil. `input` is what lint.check
-- was given: of it, may: list of "alias.verb"; channels: list of names, or nil where nothing is configured; is_module.
function calls.begin(find, near, input) found, nearest, given = find, near, input end

local function contains(names, name)
  for _, known in ipairs(names) do
    if known == name then return true end
  end
  return false
end

--- The table constructor behind an argument, if it can be told: written here, or in a local that is set once. Also the
-- local.
function calls.constructor(node)
  node = node and walk.bare(node)
  local var = node and node.k == "name" and node.var
  if var and var.made then return var.made.k == "table" and var.made, var end
  return node and node.k == "table" and node or nil
end

local function check_keys(what, node, keys)
  for _, item in ipairs(node.items) do
    if item.k == "field" and not contains(keys, item.name) then
      found(item.at, "no_option", string.format("%s has no option '%s'", what, item.name),
        nearest(item.name, keys) or "there is: " .. table.concat(keys, ", "))
    end
  end
end

local function field(node, name)
  for _, item in ipairs(node.items) do
    if item.k == "field" and item.name == name then return item.value end
  end
  return nil
end

-- Tables that several calls share are looked at once.
local function options_of(node, name)
  local verb = verbs[name]
  local opts = verb and calls.constructor(node.args[verb.at])
  if not opts or opts.looked_at then return end
  opts.looked_at = true
  check_keys(name, opts, verb.keys)
  local approve = field(opts, "approve") and calls.constructor(field(opts, "approve"))
  if approve then check_keys(name .. ": approve", approve, approve_keys) end
end

local function sorted(t)
  local names = {}
  for name in pairs(t or {}) do names[#names + 1] = name end
  host.module("prelude").sort(names)
  return names
end

-- What stands in the trailing table of a read or an effect, or in the one table of a verb that takes names.
local function arguments_of(node, t, name)
  local spec, last = t.spec, calls.constructor(node.args[#node.args])
  if not last or last.items[1] and last.items[1].k ~= "field" then return end
  if spec.named and #node.args == 1 then return check_keys(name, last, sorted(spec.params)) end
  if #node.args <= #(spec.named and { 1 } or spec.args or {}) then return end
  local keys = sorted(spec.options)
  for _, key in ipairs(t.is == "read" and read_keys or {}) do keys[#keys + 1] = key end
  check_keys(name, last, keys)
end

local function permitted(node, name)
  if given.is_module or contains(given.may, name) then return end
  found(node.at, "not_in_may", string.format("may names no %s, so it would be refused", name),
    string.format("add under may: { effect: %s, target: \"...\" }", name))
end

-- The query without what stands in quotes and brackets.
local function outer(query)
  local bare = string.gsub(string.gsub(query, "\\.", ""), '"[^"]*"', '""')
  bare = string.gsub(string.gsub(bare, "'[^']*'", "''"), "%b{}", "")
  return (string.gsub(string.gsub(bare, "%b()", "()"), "%b[]", ""))
end

local function literal_query(node, at, query)
  local quoted = string.match(query, "[\"'](%$%d+)[\"']")
  if quoted then
    found(at, "query_quoted", string.format("%s becomes a quoted string by itself; in quotes it is another one", quoted),
      "write it without quotes")
  end
  for n in string.gmatch(string.gsub(query, "'[^']*'", ""), "%$(%d+)") do
    local last = node.args[#node.args]
    if #node.args < tonumber(n) + 1 and last.k ~= "call" and last.k ~= "vararg" and last.k ~= "method" then
      found(at, "query_value", string.format("the query names $%s, which is not given", n), "give it behind the query")
      return
    end
  end
end

local function joined_param(node)
  node = walk.bare(node)
  if node.k == "binary" and node.op == ".." then return joined_param(node.left) or joined_param(node.right) end
  local object = node.k == "index" and walk.bare(node.object)
  return object and object.k == "name" and not object.var and object.name == "params" and node or nil
end

local function query_of(node, t)
  local query = node.args[1] and walk.bare(node.args[1])
  if t.spec.window_in == nil or not query then return end
  local param = joined_param(query)
  if param then
    found(param.at, "query_joined", "a parameter that is joined into a query is not quoted, and may end it",
      "write $1 in the query, and give it behind: value(\"up{job=$1}\", params.job)")
  elseif query.k == "string" then
    literal_query(node, query.at, query.value)
    local bare = outer(query.value)
    local opts = calls.constructor(node.args[#node.args])
    if t.spec.returns == "number" and string.find(bare, "[<>=!]=?%s*%-?%d") and not string.find(bare, "%f[%w]bool%f[%W]")
      and not string.find(bare, "%f[%w]or%f[%W]") and not (opts and field(opts, "absent")) then
      found(query.at, "query_compares",
        "where this comparison does not hold the query has no answer: that is unknown, not false", "compare in the runbook")
    end
  end
end

local function channel(node)
  local name = node.args[1] and walk.bare(node.args[1])
  if not given.channels or not name or name.k ~= "string" or name.value == "terminal" then return end
  if contains(given.channels, name.value) then return end
  found(name.at, "no_channel", string.format("there is no channel '%s'", name.value),
    nearest(name.value, given.channels)
      or string.format("add it to midwatch.yaml: channels: { %s: { argv: [...] } }", name.value))
end

--- A call, or a method's.
function calls.check(node)
  local func = node.k == "call" and walk.bare(node.func)
  local called = walk.called(node)
  if func and func.k == "call" and walk.called(func) == "hypothesis" then return options_of(node, "hypothesis") end
  if called == "hypothesis" and node.args[2] then
    found(node.args[2].at, "hypothesis", "hypothesis takes the title alone, and what it returns takes the table",
      "hypothesis \"title\" { likelihood = ..., impact = ..., test = ... }")
  elseif called == "notify" then
    channel(node)
  elseif called ~= "hypothesis" and verbs[called or ""] then
    options_of(node, called)
  end
  local t = node.k == "method" and types.of(node) or func and func.k == "index" and types.of(func)
  if not t or (t.is ~= "read" and t.is ~= "effect") then return end
  local name = t.alias .. "." .. t.verb
  arguments_of(node, t, node.k == "method" and t.name or name)
  if t.is == "effect" then permitted(node, name) else query_of(node, t) end
end

return calls
