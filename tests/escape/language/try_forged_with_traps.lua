-- expect: KILLED
-- A forged inconclusive whose text never comes: it is the time of the run.
local loop = function() while true do end end
wait_until("w", { within = 0 }, function()
  error(setmetatable({ kind = "inconclusive" }, { __index = loop }))
end)
