-- expect: REFUSED
-- An error value whose text never comes.
host.error(setmetatable({}, { __tostring = function() error("again") end, kind = "unknown" }))
