-- expect: ENDED
-- Bytes that are no text end the run all the same.
escalate("\0\255\27[2J\r\n")
