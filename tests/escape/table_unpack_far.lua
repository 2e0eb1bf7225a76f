-- expect: REFUSED
-- Row 12, CVE-2025-46817: the range overflows.
return table.unpack({}, math.mininteger, math.maxinteger)
