--- Who wants to hear `$/progress`, by the token it asked with. What a job says unasked is nobody's.
local M = {}

---@class lazycelery.Progress
---@field kind "begin"|"report"|"end"
---@field job string
---@field done integer
---@field total? integer

local listeners = {} ---@type table<string, fun(progress: lazycelery.Progress)>
local made = 0

--- A token that nobody has, for a call to name.
---@param heard fun(progress: lazycelery.Progress)
---@return string
function M.token(heard)
  made = made + 1
  local token = "lazycelery-" .. made
  listeners[token] = heard
  return token
end

---@param token string
function M.forget(token)
  listeners[token] = nil
end

---@param params table
function M.heard(params)
  local heard = listeners[params.token]
  if heard and type(params.value) == "table" then
    heard(params.value)
  end
end

return M
