-- expect: REFUSED
-- Requests that are none.
for _, r in ipairs({ {}, { url = 1 }, { method = "BREW", url = "http://a" }, { method = "GET", url = "file:///etc/passwd" }, { method = "GET", url = ("x"):rep(1 << 20) }, { method = "GET", url = "http://a\r\nX: y/" } }) do
  assert(not try(http, r))
end
error("all were refused")
