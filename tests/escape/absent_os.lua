-- expect: REFUSED
-- The name must not be there.
return os.execute("id")
