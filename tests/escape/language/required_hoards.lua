-- expect: KILLED
-- A module that takes all memory.
return require "hoards"
