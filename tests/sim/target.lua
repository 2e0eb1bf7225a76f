-- SPDX-License-Identifier: Apache-2.0
-- The plugin of the simulated world (tests/sim/world.c): boxes with a value and a generation, and effects of every class.

local function url(a, what) return instance.settings.url .. "/" .. a.name .. what end

-- The world may tell the body to misbehave, as a broken plugin would.
local function answered(v)
  if v.misbehave == "raise" then host.error("boom") end
  if v.misbehave == "hang" then pause(100000) end
  if v.misbehave == "loop" then while true do end end
  if v.unknown then unknown(v.unknown, "the world says so") end
  return v
end

local function get(a, what)
  local r = http { method = "GET", url = url(a, what), timeout = 5 }
  if r.status ~= 200 then unknown("error", "HTTP " .. r.status) end
  return answered(json.decode(r.body))
end

local function state(a)
  local v = get(a, "/state")
  if v.misbehave == "nonsense" then return v.nonsense end
  return { value = v.value, generation = v.generation }
end

local function load(a)
  local v = get(a, "/load")
  return answer(v.load, { at = v.at })
end

local function check(a, _, _, key) return get(a, "/key/" .. key).verdict end

local function put(verb)
  return function(a, from, to, key)
    local before = type(from) == "table" and from.generation or nil
    local body = json.encode { verb = verb, value = to.value, generation = before, key = key }
    local r = http { method = "PUT", url = url(a, ""), body = body, timeout = 8 }
    if r.status == 200 then return end
    if r.status == 409 then moved("HTTP 409") end
    if r.status >= 400 and r.status < 500 then refused("HTTP " .. r.status) end
    maybe("HTTP " .. r.status)
  end
end

local function want(a) return { value = a.value } end

local function effect(verb, class, more)
  local e = { on = "box", args = { "value" }, params = { value = "integer" }, class = class, target = "box/{{name}}", timeout = 10,
    state = state, want = want, apply = put(verb) }
  for k, v in pairs(more or {}) do e[k] = v end
  return e
end

return plugin "target" {
  settings = { url = "string" },
  things = { box = { is = "box", args = { "name" }, params = { name = "string" }, set = { kind = "box" } } },
  reads = { load = { on = "box", returns = "number", max_age = 60, read = load } },
  effects = {
    set = effect("set", "ensure"),
    send = effect("send", "keyed"),
    push = effect("push", "never_twice", { check = check }),
    fire = { on = "box", class = "never_twice", target = "box/{{name}}", irreversible = true, timeout = 10,
      want = function() return { fired = true } end, apply = put("fire") },
  },
}
