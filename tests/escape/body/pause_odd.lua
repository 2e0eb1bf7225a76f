-- expect: REFUSED
-- A pause beyond its call's time.
pause(1 << 40)
