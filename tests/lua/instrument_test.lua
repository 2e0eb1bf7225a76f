-- SPDX-License-Identifier: Apache-2.0
-- Gives C a program and its checked form.

local instrument = host.module("instrument")
local programs = host.module("programs")

local test = {}

--- A program that runs and is compiled, and its checked form.
function test.pair()
  local text
  repeat text = programs.runnable() until load(text, "=t", "t")
  return text, instrument.text(text)
end

--- The checked form of a text, or nil and what is wrong with it.
function test.checked(text) return instrument.text(text) end

return test
