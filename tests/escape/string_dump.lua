-- expect: REFUSED
-- Row 15: no bytecode leaves.
return string.dump(function() end)
