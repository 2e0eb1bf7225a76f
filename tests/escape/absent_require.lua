-- expect: REFUSED
-- Only modules of the runbook's repository, never the library or a file.
return require("os")
