--- Which buffer is which view. Buffers are found by exact name: `bufnr(name)` takes prefixes and
--- patterns.
local M = {}

local views = {} ---@type table<integer, lazycelery.View>

---@param buf? integer default: the current one
---@return lazycelery.View?
function M.get(buf)
  return views[buf or vim.api.nvim_get_current_buf()]
end

---@return lazycelery.View[]
function M.all()
  return vim.tbl_values(views)
end

---@param view lazycelery.View
function M.put(view)
  views[view.buf] = view
end

---@param view lazycelery.View
function M.remove(view)
  if views[view.buf] == view then
    views[view.buf] = nil
  end
end

--- The buffer of exactly this name.
---@param wanted string
---@return integer?
function M.find(wanted)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_get_name(buf) == wanted then
      return buf
    end
  end
end

--- Values that open views hold, for completion: nothing is asked for.
---@param noun string
---@param field string
---@return string[]
function M.seen(noun, field)
  local found = {}
  for _, view in ipairs(M.all()) do
    if view.def.noun == noun then
      for _, row in pairs(view.rows) do
        if type(row[field]) == "string" then
          found[row[field]] = true
        end
      end
    end
  end
  local names = vim.tbl_keys(found)
  table.sort(names)
  return names
end

return M
