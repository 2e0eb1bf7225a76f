-- expect: REFUSED
-- CVE-2022-0543 class: the name must not be there.
return package.loadlib("liblua5.4.so", "luaopen_io")
