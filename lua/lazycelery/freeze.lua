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

--- Notes that a question about this view is open. Where a picker never answers, the view moves again
--- after a while, and the question is over once the cursor moves.
---@param view lazycelery.Asker
---@param over? fun() what to do then, answered or not
function M.confirm(view, over)
  view.confirming = { since = vim.uv.now(), over = over }
end

--- The question is answered, or given up.
---@param view lazycelery.Asker
function M.confirmed(view)
  local open = view.confirming
  view.confirming = nil
  if open and open.over then
    open.over()
  end
end

---@param view lazycelery.View
---@return string? reason nil where the view may change
function M.reason(view)
  if view.confirming and vim.uv.now() - view.confirming.since < CONFIRM_MS then
    return "confirming"
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
