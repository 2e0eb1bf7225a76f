-- expect: OK
-- What a face, or a value that it makes, answers under the name of a primitive of the host is nothing (list.where is its own).
local primitives = { "gate", "finish", "fork", "pcall", "module", "proxy", "weak", "rawset", "rawpairs", "readonly", "error", "fail",
  "forbid", "later", "encode", "decode", "array", "is_array", "nearest", "branch", "now", "null", "host" }
local read, things = prometheus.value("up"), {}
things.prometheus, things.kubernetes, things.postgres, things.http = prometheus, kubernetes, postgres, http
things.deployment, things.read, things.effect = kubernetes.deployment("prod", "api"), read, kubernetes.deployment("prod", "api"):scale(3)
things.group, things.params, things.run, things.trigger = observe { up = read }, params, run, trigger
things.labels, things.list, things.text, things.stats = trigger.labels, list, text, stats
things.hypothesis = hypothesis "h" { likelihood = "high", impact = "high", test = function() return true end }
things.none = NONE
for name, thing in pairs(things) do
  for _, key in ipairs(primitives) do
    local ok, found = attempt(function() return thing[key] end)
    assert(not ok or found == nil, name .. "." .. key)
  end
  assert(getmetatable(thing) == false, name)
  assert(not attempt(rawset, thing, "x", 1), name)
  assert(not attempt(function() thing.x = 1 end), name)
  assert(not attempt(setmetatable, thing, {}), name)
end
