-- expect: REFUSED
-- CVE-2022-24735: one script changes what another calls.
string.format = function() return "evil" end
