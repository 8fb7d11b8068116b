--- Names of views: `lazycelery://<environment>/<view>[/<key>][?<filter>]`. Pure.
--- Key and filter are percent-encoded, so that no name reads as a pattern or a second part.
local M = {}

M.scheme = "lazycelery://"

---@param text string
---@return string
local function encode(text)
  return (
    text:gsub("[^%w%-%._~@:,!=>]", function(byte)
      return ("%%%02X"):format(byte:byte())
    end)
  )
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
  local name = M.scheme .. encode(id.environment) .. "/" .. id.view
  if id.key then
    name = name .. "/" .. encode(id.key)
  end
  if id.filter and id.filter ~= "" then
    name = name .. "?" .. encode(id.filter)
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
  local environment, view, key = (path or ""):match("^([^/]+)/([%l_]+)/?(.*)$")
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
