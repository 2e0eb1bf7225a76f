-- SPDX-License-Identifier: Apache-2.0
-- Gives C a program and its checked form.

local instrument = host.module("instrument")
local programs = host.module("programs")

local test = {}

local function compiled(make)
  local text
  repeat text = make() until load(text, "=t", "t")
  return text
end

--- A program that runs and is compiled, and its checked form.
function test.pair()
  local text = compiled(programs.runnable)
  return text, instrument.text(text)
end

--- The same with steps, where it can be divided.
function test.steps()
  local text = compiled(programs.in_steps)
  return text, instrument.program(text)
end

--- The checked form of a text, or nil and what is wrong with it.
function test.checked(text) return instrument.text(text) end

return test
