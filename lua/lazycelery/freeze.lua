--- Why a view must not change just now: someone is aiming. The view's own window must be current;
--- typing in another file freezes nothing.
local M = {}

local QUIET_MS = 150
local CONFIRM_MS = 60000

local last_key = 0

--- Starts to note when keys are pressed.
function M.watch_keys()
  vim.on_key(function()
    last_key = vim.uv.now()
  end, vim.api.nvim_create_namespace("lazycelery.keys"))
end

--- Notes that a question about this view is open; ends by itself where a picker never answers.
---@param view lazycelery.View
function M.confirm(view)
  view.confirming = vim.uv.now()
end

---@param view lazycelery.View
function M.confirmed(view)
  view.confirming = nil
end

---@param view lazycelery.View
---@return string? reason nil where the view may change
function M.reason(view)
  if view.confirming then
    if vim.uv.now() - view.confirming < CONFIRM_MS then
      return "confirming"
    end
    view.confirming = nil
  end
  if vim.api.nvim_get_current_buf() ~= view.buf then
    return nil
  end
  local mode = vim.api.nvim_get_mode()
  if mode.mode ~= "n" or mode.blocking then
    return "mode"
  elseif vim.fn.state("moS") ~= "" or vim.fn.getcmdwintype() ~= "" then
    return "pending"
  elseif vim.uv.now() - last_key < QUIET_MS then
    return "typing"
  end
  return nil
end

return M
