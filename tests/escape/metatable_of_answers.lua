-- expect: REFUSED
-- A list that came from an answer keeps its mark.
setmetatable(look({ 1 }), { __index = {} })
