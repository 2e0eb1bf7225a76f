-- expect: REFUSED
-- No answer is no data.
return nil
