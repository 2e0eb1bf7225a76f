-- expect: OK
-- CVE-2022-28805: _ENV as a constant.
local f = load("local _ENV <const> = {} return function() x.y.z = 1 end")
assert(f == nil or not try(f()))
