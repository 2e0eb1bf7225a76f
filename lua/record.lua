-- SPDX-License-Identifier: Apache-2.0
-- What a runbook adds to its report: notes, measurements, follow-ups.

local public = {}

local function record(verb, name, args) host.gate("record", { { name = verb, label = name, args = args } }) end

local function text_of(verb, text)
  if type(text) ~= "string" or text == "" then host.fail(verb .. " wants a text") end
  return text
end

--- note(text): a line for the timeline.
function public.note(text) record("note", nil, { text = text_of("note", text) }) end

--- follow_up(text): something to do after the incident.
function public.follow_up(text) record("follow_up", nil, { text = text_of("follow_up", text) }) end

return { public = public }
