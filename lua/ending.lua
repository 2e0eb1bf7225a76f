-- SPDX-License-Identifier: Apache-2.0
-- The four words that end a run. They yield and are never resumed.

local state = { verified = 0, skipped = 0, sent = 0, unverified = 0, in_flight = 0, remedies = 0 }
local before = {}               -- what has to be done first, the latest last
local begun = false
local problems = {}             -- what could not be put back, { reason, text }, and nobody has said yet

--- Has fn called before the run ends, the latest first. Returns the function that takes it back.
local function before_the_end(fn)
  before[#before + 1] = fn
  return function()
    for i = #before, 1, -1 do
      if before[i] == fn then
        table.remove(before, i)
        return
      end
    end
    -- Another branch ends the run and does it already.
    host.finish("never", { { name = "never" } })
  end
end

--- Does not return once a branch ends the run: nothing more is begun.
local function unless_begun()
  if begun then host.finish("never", { { name = "never" } }) end
end

-- Puts back what is for a while, last first: other branches may add theirs meanwhile. What could not even begin stays.
local function put_back()
  while #before > 0 do
    local undo = table.remove(before)
    local ok, e = host.pcall(undo)
    if not ok then
      before[#before + 1] = undo
      host.error(e)
    end
  end
end

local function end_now(outcome, reason, text)
  put_back()
  for _, problem in ipairs(problems) do
    if outcome ~= "escalated" then outcome, reason = "escalated", problem.reason end
    text = (text and text ~= "" and text .. "; " or "") .. problem.text
  end
  host.finish("end", { { name = outcome, args = { reason = reason, text = text or "" } } })
end

--- Ends the run: outcome, reason, and a text for people. The first branch that comes here ends it. Where no verb is
-- possible, or the text is too large, that is an error, and the run may end later.
local function finish(outcome, reason, text)
  unless_begun()
  begun = true
  local _, e = host.pcall(end_now, outcome, reason, text)
  begun = false
  host.error(e)
end

--- Something could not be put back: the end says problem.text, whichever branch comes to it.
local function report(problem) problems[#problems + 1] = problem end

--- The caller ends the run with these words itself, at once; if another branch ends it already, that one says them.
local function retract(problem)
  for i = #problems, 1, -1 do
    if problems[i] == problem and not begun then table.remove(problems, i) end
  end
end

local function words(verb, text)
  if text ~= nil and type(text) ~= "string" then
    host.fail(string.format("%s wants a text, got a %s", verb, type(text)))
  end
  return text or ""
end

local verbs = {}

--- resolve "text": done, and proven. Refused while an effect of this run is not verified.
function verbs.resolve(text)
  text = words("resolve", text)
  if state.in_flight > 0 then host.fail("resolve: an effect of another branch is still on its way") end
  if state.unverified > 0 then
    host.fail("resolve: an effect of this run is not verified (its remedy failed); escalate or no_action say so")
  end
  finish("resolved", state.verified > 0 and "verified" or state.skipped > 0 and "recovered" or "runbook", text)
end

--- no_action "text": nothing needed to be done.
function verbs.no_action(text)
  text = words("no_action", text)
  if state.in_flight > 0 then host.fail("no_action: an effect of another branch is still on its way") end
  if state.sent > 0 then host.fail("no_action: this run has changed something; resolve or escalate say so") end
  finish("no_action", "runbook", text)
end

--- refuse "text": this is not a request to be carried out; nobody is paged.
function verbs.refuse(text)
  text = words("refuse", text)
  if state.in_flight > 0 then host.fail("refuse: an effect of another branch is still on its way") end
  if state.sent > 0 then host.fail("refuse: this run has changed something; escalate says so") end
  finish("no_action", "refused", text)
end

--- escalate "text": hand over to a person, with the evidence.
function verbs.escalate(text) finish("escalated", "runbook", words("escalate", text)) end

--- For all paths: as if nothing had been changed.
-- True if nothing is to be done or said at the end.
local function is_plain() return not begun and #before == 0 and #problems == 0 end

-- For all paths: keeps what the state is, and gives what brings it back. Nothing may be left to do at the end.
local function keeper()
  local kept = {}
  for key, v in host.rawpairs(state) do kept[key] = v end
  return function()
    for key, v in host.rawpairs(kept) do state[key] = v end
    before, begun, problems = {}, false, {}
  end
end

local function forget()
  for key in host.rawpairs(state) do state[key] = 0 end
  before, begun, problems = {}, false, {}
end

return {
  public = verbs, finish = finish, report = report, retract = retract, unless_begun = unless_begun,
  before_the_end = before_the_end, state = state, forget = forget,
  is_plain = is_plain, keeper = keeper,
}
