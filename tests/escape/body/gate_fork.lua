-- expect: REFUSED
-- A body has no branches.
host.fork({ function() end })
