-- expect: KILLED
-- Loaded text is under the same clock.
load("while true do end")()
