-- expect: REFUSED
-- Only regular files are read.
for _, path in ipairs({ "/dev/zero", "/proc/self/mem", "/", "", "a\0b", ("x"):rep(5000) }) do assert(not try(file, path), path) end
error("all were refused")
