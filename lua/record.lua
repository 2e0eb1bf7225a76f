-- SPDX-License-Identifier: Apache-2.0
-- What a runbook adds to its report: notes, measurements, follow-ups.

local options = host.module("options")

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

--- measure(name, value): a number for the report.
function public.measure(name, value)
  options.title("measure wants a name", name)
  if type(value) ~= "number" or value ~= value or value == math.huge or value == -math.huge then
    host.fail(string.format("measure \"%s\" wants a number, got %s", name, tostring(value)))
  end
  record("measure", nil, { text = name, value = value })
end

--- notify(channel, text): a message to people. It is sent at least once; whether it arrives changes nothing here.
function public.notify(channel, text)
  options.title("notify wants the name of a channel first", channel)
  options.text("notify wants a text", text)
  host.gate("notify", { { name = channel, args = { text = text } } })
end

return { public = public }
