-- SPDX-License-Identifier: Apache-2.0
-- parallel and each: several branches of one run. They share the run's values, wait side by side,
-- and all of them end before the verb returns; an ending in one of them ends the run.

local prelude = host.module("prelude")
local options = host.module("options")
local observe = host.module("observe")

local AT_ONCE_MAX = 100

-- A branch that keeps its answer or its error for the one who forked it.
local function keeping(fn, results, key)
  return observe.branch(function()
    local ok, result = host.pcall(fn)
    results[key] = { ok = ok, value = result }
  end)
end

local public = {}

local function in_order(fns)
  local keys = {}
  for key, fn in pairs(fns) do
    if type(fn) ~= "function" then
      host.fail(string.format("parallel: entry %s is a %s, not a function", tostring(key), type(fn)))
    end
    keys[#keys + 1] = key
  end
  if #keys == 0 then host.fail("parallel wants functions: parallel { function() ... end, ... }") end
  if #keys > AT_ONCE_MAX then host.fail(string.format("parallel: %d branches, at most %d", #keys, AT_ONCE_MAX)) end
  return keys
end

--- parallel { f, g, ... } or { name = f, ... }: runs them side by side; their first results under the same
-- keys, once all have returned. The first error in their order is raised then.
function public.parallel(fns)
  if type(fns) ~= "table" then host.fail("parallel wants a table of functions, got a " .. type(fns)) end
  local keys, branches, results, values = in_order(fns), {}, {}, {}
  for i, key in ipairs(keys) do branches[i] = keeping(fns[key], results, key) end
  host.fork(branches)
  for _, key in ipairs(keys) do
    if not results[key].ok then host.error(results[key].value) end
    values[key] = results[key].value
  end
  return values
end

local each_options = { "at_once", "stop_after_errors" }

-- Takes items off the list until it is empty or too many failed.
local function worker(state)
  while state.next <= #state.list and state.errors < state.stop_after do
    local i = state.next
    state.next = i + 1
    local ok, result = host.pcall(state.fn, state.list[i], i)
    local outcome = { item = state.list[i], ok = ok }
    state.results[i] = outcome
    if ok then
      outcome.value = result
    else
      outcome.error = prelude.message(result)
      state.errors = state.errors + 1
      state.first_error = state.first_error or { value = result }
    end
  end
end

--- each(list, { at_once = 1, stop_after_errors = 1 }, fn): calls fn(item, index) for every item, at_once of them
-- side by side. After stop_after_errors errors no further item begins and the first error is raised. Returns a
-- list of { item, ok, value | error }.
function public.each(list, opts, fn)
  if fn == nil then opts, fn = {}, opts end
  if type(list) ~= "table" then host.fail("each wants a list, got a " .. type(list)) end
  options.check("each", opts, each_options)
  if type(fn) ~= "function" then host.fail("each wants a function last") end
  local state = {
    list = list, fn = fn, next = 1, results = {}, errors = 0,
    stop_after = options.count("each: stop_after_errors", opts.stop_after_errors, 1, 1),
  }
  local at_once = math.min(options.count("each: at_once", opts.at_once, 1, 1), #list)
  if at_once > AT_ONCE_MAX then host.fail(string.format("each: %d at once, at most %d", at_once, AT_ONCE_MAX)) end
  if at_once <= 1 then
    worker(state)
  else
    local branches = {}
    for i = 1, at_once do branches[i] = observe.branch(function() worker(state) end) end
    host.fork(branches)
  end
  if state.errors >= state.stop_after then host.error(state.first_error.value) end
  return host.array(state.results)
end

return { public = public }
