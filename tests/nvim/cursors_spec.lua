-- Where a list becomes shorter, no line of it hides above the window while there is room below.
local cursors = require("lazycelery.paint.cursors")
local expect = require("expect")

local buf = vim.api.nvim_get_current_buf()

---@param count integer
---@return lazycelery.View
local function list(count)
  local view = { buf = buf, shown = {}, at = {} }
  for i = 1, count do
    view.shown[i] = ("row %d"):format(i)
    view.at[view.shown[i]] = i
  end
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, view.shown)
  return view
end

---@param lnum integer
---@param topline integer
---@param before integer
---@param after integer
---@return { [1]: integer, [2]: integer } first and cursor line
local function become(lnum, topline, before, after)
  local view = list(before)
  vim.fn.winrestview({ lnum = lnum, topline = topline })
  local saved = cursors.save(view)
  cursors.restore(list(after), saved, true)
  local now = vim.fn.winsaveview()
  return { now.topline, now.lnum }
end

local height = vim.api.nvim_win_get_height(0)
expect.equal(become(50, 40, 100, height - 4), { 1, height - 4 }, "all of it is seen")
expect.equal(become(90, 80, 100, height + 5), { 6, height + 5 }, "the last lines fill the window")
expect.equal(become(50, 40, 100, 90), { 40, 50 }, "there is enough below")
expect.equal(become(100, 95, 100, 100), { 95, 100 }, "whoever looks past the end may")
