-- SPDX-License-Identifier: Apache-2.0
-- Statistics over lists of numbers, and the judge of a canary. All of it is + - * / and comparisons in a fixed order: the C
-- library's log, exp and lgamma differ in their last bit between machines, and a run must replay to the same bits.
-- What there is too little data for is inconclusive, never a number.

local prelude = host.module("prelude")

local stats = {}

local LN2_HI, LN2_LO = 0.69314718036912381649, 1.9082149292705877e-10
local EVIDENCE_MAX = 1e12
local STEPS_MAX = 20000

-- ln(x), x > 0: x = m * 2^e with m around 1, then the series of artanh.
local function ln(x)
  if x <= 0 then return -math.huge end
  local e = 0
  while x > 1.4142135623730951 do x, e = x * 0.5, e + 1 end
  while x < 0.7071067811865476 do x, e = x * 2.0, e - 1 end
  local s = (x - 1) / (x + 1)
  local square, sum = s * s, 0.0
  for k = 27, 1, -2 do sum = sum * square + 1.0 / k end
  return e * LN2_HI + (2.0 * s * sum + e * LN2_LO)
end

local function exp(x)
  if x < -745 then return 0.0 end
  if x > 709 then return math.huge end
  local k = math.floor(x / (LN2_HI + LN2_LO) + 0.5)
  local r, sum = (x - k * LN2_HI) - k * LN2_LO, 1.0
  for n = 20, 1, -1 do sum = 1.0 + sum * r / n end
  for _ = 1, k do sum = sum * 2.0 end
  for _ = 1, -k do sum = sum * 0.5 end
  return sum
end

-- Lanczos, g = 7.
local lanczos = { 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7 }

-- ln(gamma(x)), x >= 0.5.
local function lgamma(x)
  local sum, t = 0.99999999999980993, x + 6.5
  for i, c in ipairs(lanczos) do sum = sum + c / (x - 1 + i) end
  return 0.91893853320467274178 + (x - 0.5) * ln(t) - t + ln(sum)
end

local function lbeta(a, b) return lgamma(a) + lgamma(b) - lgamma(a + b) end

-- The continued fraction of the incomplete beta function (Lentz).
local function fraction(a, b, x)
  local function safe(v) return math.abs(v) < 1e-300 and 1e-300 or v end
  local c, d = 1.0, 1 / safe(1 - (a + b) * x / (a + 1))
  local h = d
  for m = 1, STEPS_MAX do
    local even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
    d, c = 1 / safe(1 + even * d), safe(1 + even / c)
    h = h * d * c
    local odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    d, c = 1 / safe(1 + odd * d), safe(1 + odd / c)
    local delta = d * c
    h = h * delta
    if math.abs(delta - 1) < 1e-15 then break end
  end
  return h
end

-- ln of the regularized incomplete beta function I_x(a, b), 0 < x < 1; y = 1 - x, which may be too small to be had from x.
local function ln_beta_share(a, b, x, y)
  local front = a * ln(x) + b * ln(y) - lbeta(a, b)
  if x < (a + 1) / (a + b + 2) then return front + ln(fraction(a, b, x)) - ln(a) end
  local rest = exp(front) * fraction(b, a, y) / b
  return rest < 1 and ln(1 - rest) or -math.huge
end

local function too_little(verb, why) prelude.inconclusive("stats." .. verb, "no_data", why) end

-- The list's numbers, at least n of them.
local function numbers(verb, l, n)
  if type(l) ~= "table" then host.fail(string.format("stats.%s wants a list of numbers, got a %s", verb, type(l))) end
  for i = 1, #l do
    local v = l[i]
    if type(v) ~= "number" or v ~= v or v == math.huge or v == -math.huge then
      host.fail(string.format("stats.%s: [%d] is no number: %s", verb, i, tostring(v)))
    end
  end
  if #l < n then too_little(verb, string.format("%d values, and %d are needed", #l, n)) end
  return l
end

local function mean_of(l)
  local sum = 0.0
  for i = 1, #l do sum = sum + l[i] end
  return sum / #l
end

local function variance_of(l)
  local mean, sum = mean_of(l), 0.0
  for i = 1, #l do sum = sum + (l[i] - mean) * (l[i] - mean) end
  return sum / (#l - 1), mean
end

local function percentile_of(l, p)
  local sorted = {}
  for i = 1, #l do sorted[i] = l[i] end
  prelude.sort(sorted)
  local place = 1 + p * (#sorted - 1)
  local below = math.floor(place)
  local above = math.min(below + 1, #sorted)
  return sorted[below] + (place - below) * (sorted[above] - sorted[below])
end

--- stats.mean(l)
function stats.mean(l) return mean_of(numbers("mean", l, 1)) end

--- stats.median(l)
function stats.median(l) return percentile_of(numbers("median", l, 1), 0.5) end

--- stats.percentile(l, p): p from 0 to 1; between two values it is interpolated.
function stats.percentile(l, p)
  if type(p) ~= "number" or not (p >= 0 and p <= 1) then host.fail "stats.percentile wants a share from 0 to 1: percent(95)" end
  return percentile_of(numbers("percentile", l, 1), p)
end

--- stats.stdev(l): of a sample (n - 1).
function stats.stdev(l) return math.sqrt((variance_of(numbers("stdev", l, 2)))) end

--- stats.correlation(xs, ys): Pearson's, from -1 to 1, of values that belong together.
function stats.correlation(xs, ys)
  numbers("correlation", xs, 3)
  numbers("correlation", ys, 3)
  if #xs ~= #ys then host.fail(string.format("stats.correlation: %d values and %d", #xs, #ys)) end
  local mx, my, xx, yy, xy = mean_of(xs), mean_of(ys), 0.0, 0.0, 0.0
  for i = 1, #xs do
    local dx, dy = xs[i] - mx, ys[i] - my
    xx, yy, xy = xx + dx * dx, yy + dy * dy, xy + dx * dy
  end
  if xx == 0 or yy == 0 then too_little("correlation", "one of them does not vary") end
  return math.max(-1.0, math.min(1.0, xy / (math.sqrt(xx) * math.sqrt(yy))))
end

--- stats.t_test(a, b): Welch's: { t, df, p, difference = mean(b) - mean(a) }; p is two-sided. For one look at samples of one
-- time each; who looks again and again wants stats.judge.
function stats.t_test(a, b)
  local va, ma = variance_of(numbers("t_test", a, 2))
  local vb, mb = variance_of(numbers("t_test", b, 2))
  local sa, sb = va / #a, vb / #b
  if sa + sb == 0 then too_little("t_test", "neither of them varies") end
  local t = (mb - ma) / math.sqrt(sa + sb)
  local df = (sa + sb) * (sa + sb) / (sa * sa / (#a - 1) + sb * sb / (#b - 1))
  local p = exp(ln_beta_share(df / 2, 0.5, df / (df + t * t), t * t / (df + t * t)))
  return { t = t, df = df, p = p, difference = mb - ma }
end

-- The judge. Of all bad requests, a share w comes from the canary if it is as good as the baseline and got the share w of the
-- requests. Each bad one is a coin that shows more; the evidence is a bet against "no worse" (or "too much worse") whose
-- expected value is 1 at most while that is true, however often somebody looks.

-- ln of the evidence that the coin's bias is above w (uniform over what is above), after k heads and n tails.
local function ln_above(k, n, w)
  return lbeta(k + 1, n + 1) + ln_beta_share(n + 1, k + 1, 1 - w, w) - ln(1 - w) - k * ln(w) - n * ln(1 - w)
end
local function ln_below(k, n, w) return ln_above(n, k, 1 - w) end

local function count_of(side, what, v)
  if type(v) ~= "number" or v ~= v or v < 0 or v > 1e12 then
    host.fail(string.format("stats.judge: %s.%s is no count: %s", side, what, tostring(v)))
  end
  return math.floor(v + 0.5)
end

local function side_of(stratum, side)
  local given = stratum[side]
  if type(given) ~= "table" then host.fail("stats.judge: " .. side .. " = { requests = ..., bad = ... } is wanted") end
  local requests, bad = count_of(side, "requests", given.requests), count_of(side, "bad", given.bad)
  if bad > requests then host.fail(string.format("stats.judge: %s has %d bad ones of %d requests", side, bad, requests)) end
  return requests, bad
end

local options = { baseline = true, canary = true, strata = true, alpha = true, metrics = true, margin = true, tolerable = true,
  at_least = true }

local function option(o, name, default, low, high)
  local v = o[name]
  if v == nil then return default end
  if type(v) ~= "number" or not (v > low and v < high) then
    host.fail(string.format("stats.judge: %s must be between %g and %g", name, low, high))
  end
  return v
end

local function check_options(o)
  if type(o) ~= "table" then host.fail "stats.judge wants { baseline = ..., canary = ... }" end
  for name in pairs(o) do
    if not options[name] then
      local near = host.nearest(tostring(name), { "baseline", "canary", "strata", "alpha", "metrics", "margin", "tolerable",
        "at_least" })
      host.fail(string.format("stats.judge has no option '%s'%s", tostring(name),
        near and " (did you mean '" .. near .. "'?)" or ""))
    end
  end
end

-- Adds one stratum to the sums: ln evidence for worse, for no worse, and the counts.
local function weigh(sums, stratum, margin)
  local nb, kb = side_of(stratum, "baseline")
  local nc, kc = side_of(stratum, "canary")
  sums.nb, sums.kb, sums.nc, sums.kc = sums.nb + nb, sums.kb + kb, sums.nc + nc, sums.kc + kc
  if nb == 0 or nc == 0 then return end
  local w = nc / (nc + nb)
  local limit = w * margin / (w * margin + 1 - w)
  sums.worse, sums.no_worse = sums.worse + ln_above(kc, kb, w), sums.no_worse + ln_below(kc, kb, limit)
end

--- stats.judge { baseline, canary = { requests, bad }, alpha = 0.05, metrics = 1, margin = 1.25, tolerable, at_least = 100 }:
-- { verdict = "worse" | "no worse" | "undecided", worse, no_worse, baseline, canary }. May be asked as often as wanted: a
-- canary that is no worse is called worse with probability alpha at most, over all looks. Counts are sums since the
-- canary has the share it has; strata = { { baseline, canary }, ... } for shares or zones that differ. "no worse": surely less
-- than margin times the baseline's rate, or surely less than `tolerable`.
function stats.judge(o)
  check_options(o)
  local alpha, metrics = option(o, "alpha", 0.05, 0, 1), option(o, "metrics", 1, 0, 1000)
  local margin, tolerable = option(o, "margin", 1.25, 1, 1000), option(o, "tolerable", nil, 0, 1)
  local sums = { nb = 0, kb = 0, nc = 0, kc = 0, worse = 0.0, no_worse = 0.0 }
  for _, stratum in ipairs(o.strata or { o }) do weigh(sums, stratum, margin) end
  if tolerable and sums.nc > 0 then sums.no_worse = math.max(sums.no_worse, ln_below(sums.kc, sums.nc - sums.kc, tolerable)) end
  local verdict = "undecided"
  if sums.worse >= ln(metrics / alpha) then
    verdict = "worse"
  elseif sums.no_worse >= ln(2 / alpha) and sums.nc >= option(o, "at_least", 100, 0, 1e12) then
    verdict = "no worse"
  end
  local function capped(x) return math.min(EVIDENCE_MAX, exp(x)) end
  return {
    verdict = verdict, worse = capped(sums.worse), no_worse = capped(sums.no_worse),
    baseline = sums.nb > 0 and sums.kb / sums.nb or 0.0, canary = sums.nc > 0 and sums.kc / sums.nc or 0.0,
  }
end

return { public = { stats = stats } }
