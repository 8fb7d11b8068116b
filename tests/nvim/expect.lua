--- What scripts in this folder check with. A failure raises, and says both values.
local M = {}

---@param actual any
---@param expected any
---@param what? string
function M.equal(actual, expected, what)
  if not vim.deep_equal(actual, expected) then
    error(
      ("%s\nexpected: %s\nactual:   %s"):format(
        what or "",
        vim.inspect(expected),
        vim.inspect(actual)
      ),
      2
    )
  end
end

---@param value any
---@param what? string
function M.yes(value, what)
  if not value then
    error(what or "not so", 2)
  end
end

--- Waits until `look` returns something; fails with what it was.
---@param what string
---@param look fun(): any
---@return any
function M.wait(what, look)
  local found
  vim.wait(5000, function()
    found = look()
    return found
  end, 5)
  return found or error("waited for " .. what, 2)
end

return M
