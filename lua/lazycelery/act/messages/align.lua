--- Lines of messages in the columns of the buffer they are put into: those of another queue's have other
--- widths.
local Context = require("lazycelery.context")
local grid = require("lazycelery.table")
local ids = require("lazycelery.act.messages.ids")

local M = {}

---@param view lazycelery.View
---@param message lazycelery.Message
---@return boolean
local function waits_here(view, message)
  return message.where == "queue" and message.queue == view.id.key
end

--- The line of a message as a buffer shows it. Where it does not wait there, its place is not known.
---@param view lazycelery.View
---@param message lazycelery.Message
---@return string
function M.line(view, message)
  local row = message.row
  if not waits_here(view, message) then
    row = vim.tbl_extend("force", row, {})
    row.position = nil
  end
  if #view.grid.shown == 0 then
    grid.layout(view.grid, view.width or vim.o.columns)
  end
  return (ids.write(message, grid.line(view.grid, row, Context.new(view.id.environment))))
end

--- Aligns lines that were put into the current buffer, as one change with that: `u` takes both back.
---@param view lazycelery.View
---@param from integer
---@param upto integer
function M.put(view, from, upto)
  local tree = vim.fn.undotree(view.buf)
  -- What `u` and `<C-r>` bring is as it was.
  if vim.api.nvim_get_current_buf() ~= view.buf or tree.seq_cur ~= tree.seq_last then
    return
  end
  local judged = assert(view.draft).lines:all()
  for i = from, upto do
    local message = judged.sound[i] and ids.get(judged.ids[i] or nil)
    if message and message.environment == view.id.environment and not waits_here(view, message) then
      local before = vim.api.nvim_buf_get_lines(view.buf, i - 1, i, false)[1]
      local line = M.line(view, message)
      if line ~= before and pcall(vim.cmd.undojoin) then
        vim.api.nvim_buf_set_lines(view.buf, i - 1, i, false, { line })
      end
    end
  end
end

return M
