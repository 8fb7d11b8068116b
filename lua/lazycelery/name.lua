--- Names of views: `lazycelery://<environment>:<view>[:<key>][?<filter>]`. Pure.
--- A view of all environments has none of its own: `lazycelery://:environments`.
--- A tab shows what follows the last slash, and shortens all before it to one letter: so there is
--- one tail, and it tells a view of one environment from that of another. Every part is
--- percent-encoded, so that no name reads as a pattern or a second part.
local M = {}

M.scheme = "lazycelery://"

-- What stands as it is: in a part nothing that ends it, in a filter its colons too.
local PART, FILTER = "[^%w%-%._~@,!=>]", "[^%w%-%._~@,!=>:]"

---@param text string
---@param odd string pattern of what is encoded
---@return string
local function encode(text, odd)
  return (text:gsub(odd, function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

---@param text string
---@return string
local function decode(text)
  return (
    text:gsub("%%(%x%x)", function(hex)
      return string.char(tonumber(hex, 16) --[[@as integer]])
    end)
  )
end

---@param id lazycelery.ViewId
---@return string
function M.format(id)
  local name = M.scheme .. encode(id.environment, PART) .. ":" .. id.view
  if id.key then
    name = name .. ":" .. encode(id.key, PART)
  end
  if id.filter and id.filter ~= "" then
    name = name .. "?" .. encode(id.filter, FILTER)
  end
  return name
end

---@param name string
---@return lazycelery.ViewId? id nil where the name is not one of ours
function M.parse(name)
  if name:sub(1, #M.scheme) ~= M.scheme then
    return nil
  end
  local path, filter = name:sub(#M.scheme + 1):match("^([^?]*)%??(.*)$")
  local environment, view, key = (path or ""):match("^([^:]*):([%l_]+):?(.*)$")
  if not environment or not view then
    return nil
  end
  return {
    environment = decode(environment),
    view = view,
    key = key and key ~= "" and decode(key) or nil,
    filter = filter and filter ~= "" and decode(filter) or nil,
  }
end

return M
