-- expect: REFUSED
-- No number.
return 0 / 0
