-- expect: REFUSED
-- Row 12: an endless reader.
return load(function() return "x = 1 " end)
