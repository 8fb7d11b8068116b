--- Whose a buffer of our scheme is: a view's, or of a task that is written there.
local edit = require("lazycelery.act.resend.edit")
local name = require("lazycelery.name")
local views = require("lazycelery.view")
local window = require("lazycelery.window")

local M = {}

--- Makes a buffer what its name says.
---@param buf integer
---@param restored? boolean a session brought it back: it asks nothing before it is known to be safe
function M.adopt(buf, restored)
  local id = name.parse(vim.api.nvim_buf_get_name(buf))
  if id and edit.is_one(id) then
    return edit.adopt(buf, id, restored)
  end
  views.adopt(buf, restored)
end

---@param buf integer
---@return boolean
local function is_set_up(buf)
  return views.get(buf) ~= nil or edit.get(buf) ~= nil
end

--- Likewise, unless it is that already.
---@param buf integer
function M.ensure(buf)
  if not is_set_up(buf) then
    M.adopt(buf)
  end
end

--- Buffers that no event ever set up, as a restored session leaves them.
function M.restore()
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    local ours = name.parse(vim.api.nvim_buf_get_name(buf))
    if ours and not is_set_up(buf) and #window.showing(buf) > 0 then
      M.adopt(buf, true)
    end
  end
end

return M
