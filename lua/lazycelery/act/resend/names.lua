--- Names of tasks for the command line, which cannot wait: what was asked for before, and asked anew.
local client = require("lazycelery.client")

local M = {}

local MOST, FRESH_MS = 5000, 30000

---@class lazycelery.Names
---@field names string[]
---@field asked integer

local known = {} ---@type table<string, lazycelery.Names> by environment

--- Asks for the names of an environment, unless that was done just now.
---@param environment string
function M.learn(environment)
  local found = known[environment] or { names = {} }
  if found.asked and vim.uv.now() - found.asked < FRESH_MS then
    return
  end
  found.asked = vim.uv.now()
  known[environment] = found
  local asked = { environment = environment, limit = MOST, sort = "name" }
  client.request("task/names", asked, function(err, result)
    if err then
      found.asked = nil
      return
    end
    found.names = vim.tbl_map(function(row)
      return row.name
    end, result.rows)
  end)
end

---@param environment string
---@return string[]
function M.known(environment)
  M.learn(environment)
  return known[environment].names
end

return M
