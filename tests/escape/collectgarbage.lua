-- expect: REFUSED
-- Scripts do not steer the collector.
collectgarbage("stop")
