-- expect: KILLED
-- Row 11: gigabytes of copying in few instructions.
while true do
  try(function()
    local s = "x"
    while true do s = s .. s end
  end)
end
