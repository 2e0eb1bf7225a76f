-- expect: OK
-- CVE-2024-31449: every host function with the numbers at the edges.
local edges = { math.mininteger, math.mininteger + 1, -1, 0, 1, math.maxinteger, 2 ^ 53, -2 ^ 63, 1 / 0, -1 / 0, 0 / 0, 0.5 }
local skip = { load = true, error = true }
local function probe(lib, names)
  for _, name in ipairs(names) do
    local f = lib[name]
    for _, a in ipairs(edges) do
      try(f, a)
      try(f, "text", a)
      for _, b in ipairs(edges) do
        try(f, a, b)
        try(f, "text", a, b)
        try(f, { 1, 2, 3 }, a, b)
      end
    end
  end
end
local function names_of(lib)
  local out = {}
  for k, v in pairs(lib) do
    if type(v) ~= "number" and type(v) ~= "string" and not skip[k] then out[#out + 1] = k end
  end
  return out
end
probe(string, names_of(string))
probe(utf8, names_of(utf8))
probe(math, names_of(math))
probe({ tonumber = tonumber, select = select, rawget = rawget, rawset = rawset, rawlen = rawlen, next = next,
  ipairs = ipairs, pairs = pairs, tostring = tostring, setmetatable = setmetatable },
  { "tonumber", "select", "rawget", "rawset", "rawlen", "next", "ipairs", "pairs", "tostring", "setmetatable" })
for _, name in ipairs({ "insert", "remove", "unpack", "concat" }) do
  for _, a in ipairs(edges) do
    try(table[name], { 1, 2, 3 }, a)
    for _, b in ipairs(edges) do if name ~= "concat" then try(table[name], { 1, 2, 3 }, a, b) end end
  end
end
