-- SPDX-License-Identifier: Apache-2.0
-- ask and manual: a person decides, a person does. Nobody's silence means yes.

local units = host.module("units")
local options = host.module("options")
local ending = host.module("ending")

local public = {}

local function request(kind, title, opts, args)
  args.kind, args.to = kind, opts.to
  args.within = units.duration(opts.within or "30m", kind .. ": within")
  return host.gate("ask", { { name = title, args = args } })
end

local function check(verb, opts)
  opts = opts or {}
  options.check(verb, opts, { "to", "within", "otherwise" })
  if opts.to ~= nil then options.text(verb .. ": to must be a text", opts.to) end
  return opts
end

-- No answer: the caller's `otherwise`, or the end of the run.
local function unanswered(title, opts, answer)
  if opts.otherwise ~= nil then return opts.otherwise end
  ending.finish("escalated", answer.why == "expired" and "expired" or "needs_approval",
    string.format("%s: nobody answered (%s)", title, answer.why))
end

--- ask(title, { "a", "b" }, { to, within = "30m", otherwise }): the choice of a person. Without an answer in time
-- the run escalates, or goes on with `otherwise`.
function public.ask(title, choices, opts)
  options.title("ask wants a question first", title)
  opts = check("ask", opts)
  if type(choices) ~= "table" or #choices < 2 then host.fail("ask wants a list of at least two choices") end
  for _, choice in ipairs(choices) do options.text("ask: every choice is a text", choice) end
  local answer = request("question", title, opts, { choices = host.array(choices) })
  if answer.answer == nil then return unanswered(title, opts, answer) end
  return answer.answer
end

--- manual(title, text, { to, within = "30m", otherwise }): something a person does by hand. True when it is done.
-- "could not" and no answer escalate, or give `otherwise`.
function public.manual(title, text, opts)
  options.title("manual wants a title first", title)
  options.text("manual wants a text that says what to do", text)
  opts = check("manual", opts)
  local answer = request("manual", title, opts, { choices = host.array({ "done", "could not" }), text = text })
  if answer.answer == "done" then return true end
  if answer.answer == nil then return unanswered(title, opts, answer) end
  if opts.otherwise ~= nil then return opts.otherwise end
  ending.finish("escalated", "person_declined", string.format("%s: could not be done (%s)", title, answer.by or "?"))
end

return { public = public }
