-- expect: ENDED
-- No protected call brings a run back.
attempt(function() try(function() any { function() escalate "deep inside" end } end) end)
error("went on")
