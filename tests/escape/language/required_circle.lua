-- expect: REFUSED
-- A module that needs itself.
return require "circle"
