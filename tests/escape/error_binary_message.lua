-- expect: REFUSED
-- Bytes that are no text.
error("\0\255\27[2J\r\n")
