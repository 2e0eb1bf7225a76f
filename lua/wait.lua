-- SPDX-License-Identifier: Apache-2.0
-- Durable waits. A wait is one row when it begins; its looks are ordinary reads, its pauses timers.

local prelude = host.module("prelude")
local units = host.module("units")
local options = host.module("options")

local wait = {}

local function clamp(x, low, high) return math.max(low, math.min(x, high)) end

--- The pause between looks: what the caller said, or within/20 between 1 s and 30 s.
function wait.every(every, within, what)
  if every == nil then return clamp(within / 20, 1, 30) end
  return math.max(units.duration(every, what), 0.1)
end

--- Begins a durable wait of `within` seconds; returns its deadline in Unix ms.
function wait.begin(title, within, every)
  local begun = host.gate("wait", { { name = title, args = { within = within, every = every } } })
  return begun.at + within * 1000
end

--- Pauses for s seconds of the run's clock.
function wait.pause(s) host.gate("timer", { { name = "timer", args = { ms = math.ceil(s * 1000) } } }) end

--- Looks with `look` (returning holds | refuted | inconclusive and a detail) until it holds or the
-- deadline is past; `stop` may end it early. Returns the last verdict and detail.
function wait.until_holds(deadline, every, look, stop)
  while true do
    local verdict, detail = look()
    if verdict == "holds" then return verdict, detail end
    if stop and stop() then return "stopped", detail end
    local left = (deadline - host.now()) / 1000
    if left <= 0 then return verdict, detail end
    wait.pause(math.min(every, left))
  end
end

local public = {}

--- wait_until(title, {every, within, stop_if}, fn): true, or false at the end of `within`.
function public.wait_until(title, opts, fn)
  options.title("wait_until wants a title first", title)
  if type(opts) ~= "table" or opts.within == nil then host.fail("wait_until: say how long: { within = \"10m\" }") end
  options.check("wait_until", opts, { "every", "within", "stop_if" })
  if type(fn) ~= "function" then host.fail("wait_until wants a function last") end
  local within = units.duration(opts.within, "wait_until: within")
  local every = wait.every(opts.every, within, "wait_until: every")
  local deadline = wait.begin(title, within, every)
  local verdict = wait.until_holds(deadline, every, function() return prelude.look(fn) end,
    opts.stop_if and function() return prelude.look(opts.stop_if) == "holds" end)
  -- The last look was inconclusive: let the runbook see why.
  if verdict == "inconclusive" then return fn() and true or false end
  return verdict == "holds"
end

--- sleep(d): a durable pause.
function public.sleep(d)
  local s = units.duration(d, "sleep")
  wait.begin("sleep", s, s)
  wait.pause(s)
end

wait.public = public
return wait
