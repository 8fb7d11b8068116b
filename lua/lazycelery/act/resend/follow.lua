--- The task that was sent, live below the window it was sent from: one window, whatever is sent next.
local registry = require("lazycelery.registry")
local views = require("lazycelery.view")

local M = {}

local windows = {} ---@type table<integer, integer> window below, by the buffer that was sent from

---@param buf integer
---@return integer?
local function below(buf)
  local win = windows[buf]
  if not win or not vim.api.nvim_win_is_valid(win) then
    return nil
  end
  local here = vim.api.nvim_win_get_tabpage(win) == vim.api.nvim_get_current_tabpage()
  local view = registry.get(vim.api.nvim_win_get_buf(win))
  return here and view and view.def.name == "task" and win or nil
end

--- Shows the task below the current window, which stays current.
---@param environment string
---@param uuid string
function M.show(environment, uuid)
  local from, buf = vim.api.nvim_get_current_win(), vim.api.nvim_get_current_buf()
  local win = below(buf)
  local id = { environment = environment, view = "task", key = uuid }
  if win then
    vim.api.nvim_set_current_win(win)
    views.open(id, { replace = true })
  else
    views.open(id, { mods = { split = "belowright", horizontal = true } })
    windows[buf] = vim.api.nvim_get_current_win()
  end
  vim.api.nvim_set_current_win(from)
end

return M
