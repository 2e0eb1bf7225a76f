-- expect: REFUSED
-- No look while a module is loaded.
return require "looks"
