-- expect: KILLED (not: refuse once)
-- A proof that needs a remedy that needs the proof.
local scale = kubernetes.deployment("prod", "api"):scale(5)
local function proof() remedy("t", scale, { verify = proof }) end
proof()
