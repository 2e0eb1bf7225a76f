-- SPDX-License-Identifier: Apache-2.0
-- What the compiler keeps of functions and blocks while it reads: which names are bound, labels and gotos, and the
-- limits at which it gives up (200 locals, 255 upvalues, registers, nesting).

local scope = {}

local LOCALS_MAX, UPVALUES_MAX, REGISTERS_MAX, LEVELS_MAX = 200, 255, 255, 199

local fail                  -- raises: fail(at, message)
local bound                 -- name -> the variable it means now
local variables, n          -- of all open functions, also those that are not active yet
local labels, gotos
local level, environment
local fs                    -- the function that is read

--- Begins a text. `raise(at, message)` must not return.
function scope.begin(raise)
  fail, bound, variables, n, labels, gotos, level, fs = raise, {}, {}, 0, {}, {}, 0, nil
  environment = { name = "_ENV", fs = {}, at = 1, uses = 0, sets = 0, ambient = true }
  bound._ENV = environment
end

--- One level of nesting deeper; every enter has its leave.
function scope.enter(at)
  level = level + 1
  if level > LEVELS_MAX then fail(at, "nested too deep (C stack overflow)") end
end

function scope.leave() level = level - 1 end

--- Uses `count` registers until release gives them back. An estimate: what stays in registers while the rest of an
-- expression is read.
function scope.reserve(count, at)
  fs.free = fs.free + count
  if fs.free >= REGISTERS_MAX then fail(at, "function or expression needs too many registers") end
end

function scope.release(count) fs.free = fs.free - count end

function scope.current() return fs end

--- A variable that is declared, not yet visible.
function scope.declare(name, at, what)
  if n + 1 - fs.first > LOCALS_MAX then fail(at, "too many local variables (limit is 200)") end
  n = n + 1
  local var = { name = name, at = at, what = what, fs = fs, uses = 0, sets = 0 }
  variables[n] = var
  return var
end

--- Makes the oldest `count` declared variables visible.
function scope.activate(count)
  for i = fs.first + fs.active + 1, fs.first + fs.active + count do
    local var = variables[i]
    var.shadows, bound[var.name] = bound[var.name], var
    if not var.constant then scope.reserve(1, var.at) end
  end
  fs.active = fs.active + count
end

local function capture(var, at)
  local f = fs
  while f ~= var.fs and f do
    if not f.upvalues[var] then
      f.nupvalues = f.nupvalues + 1
      if f.nupvalues > UPVALUES_MAX then fail(at, "too many upvalues (limit is 255)") end
      f.upvalues[var] = true
    end
    f = f.parent
  end
end

--- The variable that a name means here, or nil for a global.
function scope.resolve(name, at)
  local var = bound[name]
  if var and var ~= environment then
    if var.fs ~= fs and not var.constant then capture(var, at) end
    return var
  end
  capture(bound._ENV, at)
  return var
end

function scope.open_block(is_loop)
  fs.block = { parent = fs.block, is_loop = is_loop, active = fs.active, label = #labels, first_goto = #gotos, free = fs.free }
end

-- Pending gotos to a new label in this block.
local function solve(label)
  local kept = fs.block.first_goto
  for i = kept + 1, #gotos do
    local g = gotos[i]
    if g.name == label.name then
      if g.active < label.active then
        local var = variables[fs.first + g.active + 1]
        fail(g.at, string.format("goto %s jumps into the scope of local '%s'", g.name, var.name))
      end
      label.uses = label.uses + 1
    else
      kept = kept + 1
      gotos[kept] = g
    end
  end
  for i = #gotos, kept + 1, -1 do gotos[i] = nil end
end

local function undefined(g)
  if g.name == "break" then fail(g.at, "break outside a loop") end
  fail(g.at, string.format("no visible label '%s' for this goto", g.name))
end

function scope.close_block()
  local block = fs.block
  if block.is_loop then solve({ name = "break", active = fs.active, uses = 0 }) end
  for i = fs.first + fs.active, fs.first + block.active + 1, -1 do
    local var = variables[i]
    bound[var.name], variables[i] = var.shadows, nil
  end
  n = fs.first + block.active
  fs.active, fs.free = block.active, block.free
  for i = #labels, block.label + 1, -1 do labels[i] = nil end
  fs.block = block.parent
  if block.parent then
    for i = block.first_goto + 1, #gotos do gotos[i].active = math.min(gotos[i].active, block.active) end
  elseif #gotos > block.first_goto then
    undefined(gotos[block.first_goto + 1])
  end
end

function scope.open_function(is_vararg)
  fs = { parent = fs, first = n, active = 0, free = 0, vararg = is_vararg, upvalues = {}, nupvalues = 0, labels = #labels }
  scope.open_block(false)
  return fs
end

function scope.close_function()
  scope.close_block()
  fs = fs.parent
end

local function find_label(name)
  for i = fs.labels + 1, #labels do
    if labels[i].name == name then return labels[i] end
  end
end

--- Backwards to a label that is visible, or pending.
function scope.add_goto(name, at)
  local label = name ~= "break" and find_label(name)
  if label then
    label.uses = label.uses + 1
  else
    gotos[#gotos + 1] = { name = name, at = at, active = fs.active }
  end
end

--- A label; `is_last` in its block, where locals are out of scope already.
function scope.add_label(name, at, is_last)
  if find_label(name) then fail(at, string.format("label '%s' is already defined", name)) end
  local label = { name = name, at = at, active = is_last and fs.block.active or fs.active, uses = 0 }
  labels[#labels + 1] = label
  solve(label)
end

return scope
