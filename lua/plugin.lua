-- SPDX-License-Identifier: Apache-2.0
-- The ground of a plugin: its declaration, and the primitives of its body. It runs in the plugin's
-- own Lua state; only canonical JSON crosses to a run. The primitives pass requests to the host,
-- which refuses them where no body may act (describe, want, test, map).

local folder = ...              -- the plugin's name: its modules are offered as "name/module"
local declared
local instance = { name = "", dir = ".", settings = {} }

local plugin = {}

local function raise(kind, why, more)
  local e = more or {}
  e.kind, e.why = kind, tostring(why)
  host.error(e)
end

local primitives = {}

--- unknown(kind, why): the observation is not known: no_data, error, stale, ambiguous.
function primitives.unknown(kind, why) raise("unknown", why, { unknown = kind }) end
--- refused(why): the other side said no, and nothing was changed.
function primitives.refused(why) raise("refused", why) end
--- maybe(why): the other side may have acted or not.
function primitives.maybe(why) raise("maybe", why) end
--- moved(why): somebody else changed the target.
function primitives.moved(why) raise("moved", why) end

--- answer(value, {at = unix seconds, source = "...", unit = "s"}): a value with more to say about it.
function primitives.answer(value, more) return { answer_value = value, more = more or {} } end

local function ask(op, args) return host.gate(op, { { name = op, args = args } }) end

local acted = {}                -- branch of a call -> true: something that may change the world came back to it
local looks = { GET = true, HEAD = true }

--- require(name): what the module NAME.lua of the plugin's folder returns.
function primitives.require(name) return host.module(folder .. "/" .. name) end

--- http{method, url, headers, body, timeout, auth, ca, cert, key, server_name, insecure, stores_nothing,
-- max_body, raw, pick}: {status, headers, body}; a header is a text or a list of texts. A request that did not come back
-- raises `maybe` where it may have arrived, else `unreachable`. auth = {kind = "bearer" | "basic" | "header" | "hmac" |
-- "sigv4", secret = name, ...} with what the kind wants (runner/plugin/auth.h); a secret is named, never
-- seen, and goes only where the operator bound it. bearer = handle, for a text from secret(). Secrets that
-- come back are struck out; raw = true leaves the answer as it is, for one that goes to secret(). `pick` keeps of a 200
-- only list = {field = path}, object = true or lines = {match, at_most} (runner/plugin/pick.h), under that name instead
-- of `body`; what cannot be read so is `unreadable`, a text.
function primitives.http(request)
  local answer = ask("http", request)
  if answer.error then
    raise(answer.sent == "maybe" and "maybe" or "unreachable", answer.error)
  end
  if not looks[request.method or "GET"] and not request.stores_nothing then acted[host.branch()] = true end
  return answer
end

--- exec{argv, input, timeout, env, inherit, cwd, changes, raw}: {code, signal, out, err, timed_out, truncated}.
-- env = {NAME = text}, beside PATH, HOME and LANG, or with inherit beside this program's own; in it and as input,
-- {secret = name} hands a secret over.
function primitives.exec(request)
  local answer = ask("exec", request)
  if answer.error then raise("unreachable", answer.error) end
  acted[host.branch()] = true
  return answer
end

--- file(path, optional): the text of a regular file; relative paths start where the configuration lies. One that
-- does not exist is nil if it is optional.
function primitives.file(path, optional)
  local answer = ask("file", { path = path, dir = instance.dir })
  if answer.missing and optional then return nil end
  if answer.error then raise("unreachable", answer.error) end
  return answer.text
end

--- secret(text): a handle for http{bearer =}; the text is never journaled or shown from now on.
function primitives.secret(value) return ask("secret", { value = value }).handle end

--- pause(seconds): lets the loop go on meanwhile.
function primitives.pause(s) ask("pause", { ms = math.ceil(s * 1000) }) end

--- env(name): a variable of the program's environment, or nil.
function primitives.env(name) return ask("env", { name = name }).value end

--- now(): Unix seconds, of the host's clock.
function primitives.now() return ask("now", {}).ms / 1000 end

primitives.json = { encode = host.encode, decode = host.decode, null = host.null, array = host.array }
primitives.yaml = { decode = function(text, name)
  local answer = ask("yaml", { text = text, name = name })
  if answer.error then raise("unreachable", answer.error) end
  return answer.value
end }
primitives.instance = instance
--- sort(list, before): stable, as table.sort of a runbook.
primitives.sort = function(list, before) host.module("prelude").sort(list, before) end
primitives.try = function(fn, ...) return host.pcall(fn, ...) end
primitives.base64 = function(text)
  local answer = ask("base64", { text = text })
  if answer.error then raise("unreachable", answer.error) end
  return answer.text
end

--- matches(text, pattern): true if the whole text matches the POSIX extended expression.
function primitives.matches(text, pattern) return ask("matches", { text = text, pattern = pattern }).value == true end

--- plugin "name" { things, reads, effects, says, means }. says: { [thing or verb] = what it is }; means: { [field or argument] =
-- what it is }, of one verb alone as ["verb.field"]. Both are for people.
primitives.plugin = function(name)
  return function(spec)
    spec.name, spec.things, spec.reads, spec.effects = name, spec.things or {}, spec.reads or {}, spec.effects or {}
    return spec
  end
end

for name, f in host.rawpairs(primitives) do host.rawset(_ENV, name, f) end

local function without_functions(spec)
  local out = {}
  for k, v in host.rawpairs(spec) do
    if type(v) ~= "function" then out[k] = v end
  end
  return out
end

local kinds_of_auth = { bearer = true, basic = true, header = true, hmac = true, sigv4 = true }
local shape = { duration = "a duration like 10s", secret = "the name of a secret",
  auth = "{ kind: bearer, secret: NAME } (or basic with user, header, hmac, sigv4)" }

local is_setting = {
  string = function(v) return type(v) == "string" end,
  number = function(v) return type(v) == "number" end,
  boolean = function(v) return type(v) == "boolean" end,
  map = function(v) return type(v) == "table" end,
  secret = function(v) return type(v) == "string" end,
  auth = function(v) return type(v) == "table" and kinds_of_auth[v.kind] and type(v.secret) == "string" end,
  duration = function(v) return type(v) == "string" and string.find(v, "^%d+m?[sm]?$") ~= nil end,
}

-- The operator's settings hold to what the plugin declares: settings = { url = "string", ... }.
local function check_settings(given)
  local known, names = declared.settings or {}, {}
  for name in pairs(known) do names[#names + 1] = name end
  for name, value in pairs(given) do
    if not known[name] then
      local near = host.nearest(name, names)
      raise("refused", string.format("%s has no setting '%s'%s", declared.name, name,
        near and " (did you mean '" .. near .. "'?)" or " (there is: " .. table.concat(names, ", ") .. ")"), { setting = name })
    end
    if not is_setting[known[name]](value) then
      raise("refused", string.format("%s: must be %s", name, shape[known[name]] or "a " .. known[name]), { setting = name })
    end
  end
end

--- Sets the instance that this body serves.
function plugin.configure(settings)
  declared = host.module("declaration")
  check_settings(settings.settings)
  instance.name, instance.dir, instance.settings = settings.name, settings.dir, settings.settings
  instance.implicit = settings.implicit      -- nobody configured it: it comes from the environment
  instance.described = settings.described       -- without a configuration: only faces are wanted
  if declared.configure then declared.configure(instance) end
  return true
end

--- The declarations as data: for faces, schemas and policy.
function plugin.describe()
  local reads, effects = {}, {}
  for verb, spec in host.rawpairs(declared.reads) do reads[verb] = without_functions(spec) end
  for verb, spec in host.rawpairs(declared.effects) do
    effects[verb] = without_functions(spec)
    effects[verb].has_check = spec.check ~= nil
    effects[verb].has_preflight = spec.preflight ~= nil
    effects[verb].has_state = spec.state ~= nil
  end
  return {
    name = declared.name, says = declared.says, means = declared.means,
    things = declared.things, reads = reads, effects = effects, settings = declared.settings,
    has_probe = declared.probe ~= nil, has_permitted = declared.permitted ~= nil,
  }
end

local function effect(verb)
  local spec = declared.effects[verb]
  if not spec then host.error("no effect '" .. tostring(verb) .. "'") end
  return spec
end

--- The absolute end state of an effect, one value; pure.
function plugin.want(verb, args, now, history)
  if now == host.null then now = nil end
  return (effect(verb).want(args, now, history))
end

local function observed(value)
  if type(value) == "table" and value.more then
    local o = {}
    for k, v in host.rawpairs(value.more) do o[k] = v end
    o.value = value.answer_value
    if o.at then o.at = math.floor(o.at * 1000) end
    return o
  end
  if value == nil then return { unknown = "no_data", why = "no answer" } end
  return { value = value }
end

local kinds = {}

function kinds.read(verb, args)
  local spec = declared.reads[verb]
  if not spec then host.error("no read '" .. tostring(verb) .. "'") end
  return observed(spec.read(args))
end

-- A plan, an undo and an unknown outcome rest on it: what is no record says nothing, least of all that somebody acted.
function kinds.state(verb, args)
  local now = effect(verb).state(args)
  if type(now) ~= "table" or host.is_array(now) or #now > 0 then
    host.error("its state must be a record, not a " .. (type(now) == "table" and "list" or type(now)))
  end
  return { value = now }
end

function kinds.check(verb, args, extra)
  return { verdict = effect(verb).check(args, extra.from, extra.to, extra.key) }
end

function kinds.preflight(verb, args, extra)
  effect(verb).preflight(args, extra.from, extra.to)
  return { value = true }
end

function kinds.apply(verb, args, extra)
  return { outcome = "sent", result = effect(verb).apply(args, extra.from, extra.to, extra.key) }
end

--- probe(): a line about the system, if it can be reached; anything else raises.
function kinds.probe() return { value = tostring(declared.probe()) } end

--- permitted(effect, target): whether the system itself would let us; false with a reason.
function kinds.permitted(verb, args)
  local yes, why = declared.permitted(verb, args.target)
  return { value = yes == true, why = why and tostring(why) or nil }
end

-- What did not leave changes nothing, but what left before it may have: that is read back.
local function failed(kind, e, has_acted)
  local what = type(e) == "table" and e.kind or "error"
  local why = type(e) ~= "table" and tostring(e) or type(e.why) == "string" and e.why or "it raised a table"
  if kind == "apply" then
    if what == "refused" or what == "moved" then return { outcome = what, why = why } end
    if what == "unreachable" and has_acted then return { outcome = "unknown", why = why } end
    if what == "unreachable" then return { outcome = "refused", why = why, unreachable = true } end
    return { outcome = what == "maybe" and "unknown" or "broken", why = why }
  end
  if what == "unknown" then return { unknown = e.unknown, why = why } end
  if what == "refused" and (kind == "state" or kind == "preflight") then return { refused = "error", why = why } end
  return { unknown = "error", why = why }
end

--- One call of the body: kind is read, state, check, apply, probe or permitted.
function plugin.call(kind, verb, args, extra)
  local ok, result = host.pcall(kinds[kind], verb, args, extra)
  local has_acted = acted[host.branch()]
  acted[host.branch()] = nil
  if ok then return result end
  return failed(kind, result, has_acted)
end

return plugin
