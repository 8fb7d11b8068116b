--- Where what is known of a task is from, in the same words wherever that is told. Pure.
local M = {}

local words = {
  event = "from the events",
  queue = "from its message, read while it waited",
  unacked = "from its message, read while a worker held it",
  inspect = "as the worker says",
  backend = "from the result backend",
  worker = "as its worker consumes only this queue",
}

--- Sources that hold the very bytes.
local exact = { queue = true, unacked = true, backend = true }

---@param source string? as the protocol names it
---@return string?
function M.words(source)
  return source and (words[source] or source)
end

--- Of arguments as they will be sent.
---@param source string? as the protocol names it
---@return string
function M.sendable(source)
  if source == "given" then
    return "as given"
  elseif source == "repr" then
    return "read from a text made for people: not exact"
  end
  return exact[source] and "exact, " .. M.words(source) or M.words(source) or "exact"
end

return M
