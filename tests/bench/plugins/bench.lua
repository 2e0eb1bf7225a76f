-- SPDX-License-Identifier: Apache-2.0
-- A plugin without a world: reads and effects that cost nothing, to measure what is around them.

local numbers = {}

return plugin "bench" {
  reads = {
    number = { returns = "number", args = { "name" }, params = { name = "string" }, read = function() return 0.25 end },
  },
  effects = {
    set = {
      args = { "name", "to" }, params = { name = "string", to = "integer" }, class = "ensure", target = "{{name}}",
      state = function(a) return { n = numbers[a.name] or 0 } end,
      want = function(a) return { n = a.to } end,
      apply = function(a, _, to) numbers[a.name] = to.n end,
    },
  },
}
