-- SPDX-License-Identifier: Apache-2.0
-- Faces: the read and effect values that a runbook sees, and `kubernetes`, `prometheus`, ..., which make them. What makes
-- them (lua/face_make.lua) is loaded where a face is first looked at; nothing here touches the world.

local face = {}

-- opaque value -> its data
local reads, effects, things = host.weak(), host.weak(), host.weak()

--- A read, from its data.
function face.new_read(data)
  local value = host.readonly({ read = data.name }, "a read (observe it first)")
  reads[value] = data
  return value
end

--- An effect, from its data.
function face.new_effect(data)
  local value = host.readonly({ effect = data.name }, "an effect (give it to remedy)")
  effects[value] = data
  return value
end

--- A thing whose methods `index` gives.
function face.new_thing(data, index)
  local value = host.proxy({
    __index = index,
    __newindex = function() host.fail("a " .. data.kind .. " is read-only") end,
  })
  things[value] = data
  return value
end

--- What the runbook gets for the constructor f: all paths have one that makes the same value once.
function face.constructor(f) return f end

--- A read is called by the first name that it is observed under.
function face.call(read, name) read.request.called = read.request.called or name end

--- For all paths: value v is gone.
function face.drop(v) reads[v], effects[v], things[v] = nil, nil, nil end

--- The data of a read value, or nil.
function face.read_of(v) return reads[v] end
--- The data of an effect value, or nil.
function face.effect_of(v) return effects[v] end
--- True for reads, effects and the things they are made on.
function face.is_value(v) return (reads[v] or effects[v] or things[v]) ~= nil end

--- What v is, for messages.
function face.describe(v)
  if reads[v] then return "the read " .. reads[v].text end
  if effects[v] then return "the effect " .. effects[v].text end
  if things[v] then return "a " .. things[v].kind end
  return v == nil and "nothing" or "a " .. type(v)
end

--- The global of one alias, from the declarations of its plugin. context: alias, instance, window.
function face.make(context, declared)
  local members = {}
  return host.proxy({
    __index = function(_, key)
      local member = members[key] or host.module("face_make").member(context, declared, key)
      members[key] = member
      return member
    end,
    __newindex = function() host.fail(context.alias .. " is read-only") end,
  })
end

return face
