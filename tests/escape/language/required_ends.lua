-- expect: ENDED
-- Nor an ending; and the run can still end itself.
assert(not attempt(require, "ends"))
escalate "the runbook"
