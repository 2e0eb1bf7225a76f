local tools = { env = _ENV, loads = 0 }
function tools.call(f, ...) return f(...) end
function tools.load(s) return load(s) end
function tools.look() return observe(prometheus.value("up")) end
return tools
