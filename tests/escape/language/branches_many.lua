-- expect: KILLED (not: refuse once)
-- A hundred thousand branches that all wait: memory ends it.
local hundred = {}
for i = 1, 100 do hundred[i] = i end
each(hundred, { at_once = 100 }, function()
  each(hundred, { at_once = 100 }, function()
    parallel { function() sleep(1) end, function() sleep(1) end, function() sleep(1) end, function() sleep(1) end,
      function() sleep(1) end, function() sleep(1) end, function() sleep(1) end, function() sleep(1) end,
      function() sleep(1) end, function() sleep(1) end }
  end)
end)
