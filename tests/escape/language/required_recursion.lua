-- expect: KILLED
-- A module that calls itself for ever.
return require "overflows"
