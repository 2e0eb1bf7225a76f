-- expect: REFUSED
-- CVE-2015-8080, CVE-2018-11219: no binary formats.
return string.pack("i16", math.mininteger)
