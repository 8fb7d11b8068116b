--- What options may say of views: which views, columns and actions there are. Loaded only where
--- someone sets such an option.
local M = {}

---@type string[]
local views = { "workers", "worker", "tasks", "task", "queues", "messages", "environments" }

---@param name string
---@return lazycelery.ViewDef
local function def(name)
  return require("lazycelery.views." .. name)
end

---@param names string[]
---@return string
local function listed(names)
  return "there are: " .. table.concat(names, ", ")
end

---@param columns table<string, any>
---@return string? mistake
local function columns_mistake(columns)
  local lists = vim.tbl_filter(function(name)
    return def(name).columns ~= nil
  end, views)
  for name, wanted in vim.spairs(columns) do
    if not vim.list_contains(lists, name) then
      return ("no view %q has columns; %s"):format(name, listed(lists))
    elseif type(wanted) ~= "table" then
      return ("%s takes a list of columns, not a %s"):format(name, type(wanted))
    end
    local known = vim.tbl_map(function(column)
      return column.field
    end, def(name).columns or {})
    for _, field in ipairs(wanted) do
      if not vim.list_contains(known, field) then
        return ("%s has no column %q; %s"):format(name, tostring(field), listed(known))
      end
    end
  end
end

---@param keys table<string, any>
---@return string? mistake
local function keys_mistake(keys)
  local actions = require("lazycelery.actions").list
  for name, given in vim.spairs(keys) do
    if name ~= "all" and not vim.list_contains(views, name) then
      return ("no view %q; %s, all"):format(name, listed(views))
    elseif type(given) ~= "table" then
      return ("%s takes a table of keys, not a %s"):format(name, type(given))
    end
    for lhs, action in vim.spairs(given) do
      if action ~= false and not actions[action] then
        return ("%s: no action %q for %s (:help lazycelery-keys)"):format(
          name,
          tostring(action),
          lhs
        )
      end
    end
  end
end

--- What is wrong with an option that speaks of views.
---@param option "columns"|"keys"
---@param value table
---@return string? mistake
function M.mistake(option, value)
  if option == "columns" then
    return columns_mistake(value)
  end
  return keys_mistake(value)
end

return M
