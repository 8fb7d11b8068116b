--- Cursors that stay on their item, at the same height of their window, however lines move.
local window = require("lazycelery.window")

local M = {}

---@class lazycelery.Cursor
---@field win integer
---@field id string? of the item under it
---@field saved vim.fn.winsaveview.ret
---@field lines integer of the buffer

--- Where the cursor of each window is, by the item under it.
---@param view lazycelery.View
---@return lazycelery.Cursor[]
function M.save(view)
  local found = {}
  for _, win in ipairs(window.showing(view.buf)) do
    local saved = vim.api.nvim_win_call(win, vim.fn.winsaveview)
    found[#found + 1] = {
      win = win,
      id = view.shown[saved.lnum],
      saved = saved,
      lines = vim.api.nvim_buf_line_count(view.buf),
    }
  end
  return found
end

--- The first line that a window shows. Where its lines became fewer, none stays above it while there is
--- room below.
---@param cursor lazycelery.Cursor
---@param topline integer to keep its cursor at its height
---@param lines integer of the buffer, now
---@return integer
local function first(cursor, topline, lines)
  if lines < cursor.lines then
    topline = math.min(topline, lines - vim.fn.getwininfo(cursor.win)[1].height + 1)
  end
  return math.max(1, topline)
end

--- Puts each cursor back on its item, with the wanted column it had.
---@param view lazycelery.View
---@param cursors lazycelery.Cursor[]
---@param follow boolean a cursor on line 1 stays there
function M.restore(view, cursors, follow)
  for _, cursor in ipairs(cursors) do
    local saved = cursor.saved
    local line = view.at[cursor.id] ---@type integer?
    if (follow and saved.lnum == 1) or not line then
      line = math.min(saved.lnum --[[@as integer]], #view.shown)
    end
    local now = vim.api.nvim_win_call(cursor.win, vim.fn.winsaveview)
    local kept = saved.topline + line - saved.lnum --[[@as integer]]
    local topline = first(cursor, kept, vim.api.nvim_buf_line_count(view.buf))
    if now.lnum ~= line or now.topline ~= topline or now.col ~= saved.col then
      saved.topline, saved.lnum = topline, line
      vim.api.nvim_win_call(cursor.win, function()
        vim.fn.winrestview(saved)
      end)
    end
  end
end

return M
