--- A notice or the page of a detail: small, made whole each time, and only what differs written.
local buffer = require("lazycelery.buffer")
local cursors = require("lazycelery.paint.cursors")
local detail = require("lazycelery.detail")
local patch = require("lazycelery.patch")

local M = {}

---@class lazycelery.Picture
---@field ids string[]
---@field lines string[]
---@field spans lazycelery.Span[][]
---@field is_list boolean rows or a page, not a notice

--- The page of a detail.
---@param view lazycelery.View
---@param context lazycelery.Context
---@return lazycelery.Picture
function M.page(view, context)
  local made = detail.page(view.width --[[@as integer]])
  local compose = assert(view.def.compose, "a detail composes its page")
  compose(made, view.rows.row, context)
  view.items = made.items
  return made:picture()
end

--- Of a list that can be edited a notice is no text: nobody is to delete, yank or write it.
---@return lazycelery.Picture
function M.blank()
  return { ids = { "notice:1" }, lines = { "" }, spans = { {} }, is_list = false }
end

--- Shows a picture. Where Neovim refuses the write, what stands is the ground of the next attempt.
---@param view lazycelery.View
---@param picture lazycelery.Picture
function M.show(view, picture)
  local before = cursors.save(view)
  local old = view.lines or vim.api.nvim_buf_get_lines(view.buf, 0, -1, false)
  view.lines = nil
  local ok, err = buffer.change(view.buf, function()
    return patch.apply(view.buf, old, picture.lines)
  end)
  if not ok then
    error(err, 0)
  end
  view.shown, view.lines, view.cells, view.at = picture.ids, picture.lines, {}, {}
  for line, id in ipairs(picture.ids) do
    view.at[id] = line
    view.cells[id] = { line = picture.lines[line], spans = picture.spans[line] }
  end
  view.gone, view.is_list, view.moved = {}, picture.is_list, true
  cursors.restore(view, before, false)
end

return M
