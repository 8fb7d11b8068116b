--- Which message each line of a queue's buffer stands for, kept up by what the user changes and no more:
--- to read thousands of lines whenever one changes would be felt. What is drawn is known by whoever drew
--- it, and is looked at when the first change comes.
local buffer = require("lazycelery.buffer")

local M = {}

--- What lines stand for.
---@class lazycelery.JudgedLines
---@field ids (string|false)[] of each: the id of its message, edited or not; false: none
---@field sound boolean[] of each: it can be written as it is

---@class lazycelery.QueueLines
---@field judged? lazycelery.JudgedLines nil as long as what stands there was drawn
---@field from integer? lines that were changed since they were asked for
---@field upto integer
---@field private buf integer
---@field private judge fun(lines: string[]): lazycelery.JudgedLines
---@field private drawn fun(): lazycelery.JudgedLines
local Lines = {}
Lines.__index = Lines

--- Puts `come` in the place of `gone` entries.
---@generic T
---@param list T[]
---@param from integer
---@param gone integer
---@param come T[]
local function splice(list, from, gone, come)
  local count, delta = #list, #come - gone
  local first, last, step = from + gone, count, 1
  if delta > 0 then
    first, last, step = last, first, -1
  end
  for i = first, delta ~= 0 and last or first - step, step do
    list[i + delta] = list[i]
  end
  for i = count + delta + 1, count do
    list[i] = nil
  end
  for i, one in ipairs(come) do
    list[from + i - 1] = one
  end
end

--- All of them, read.
---@return lazycelery.JudgedLines
function Lines:read()
  return self.judge(vim.api.nvim_buf_get_lines(self.buf, 0, -1, false))
end

--- Lines `first` to `last` became `upto`: as Neovim tells it, from 0 and without the end.
---@param first integer
---@param last integer
---@param upto integer
function Lines:replaced(first, last, upto)
  local judged, is_first = self.judged or self.drawn(), self.judged == nil
  local come = self.judge(vim.api.nvim_buf_get_lines(self.buf, first, upto, false))
  splice(judged.ids, first + 1, last - first, come.ids)
  splice(judged.sound, first + 1, last - first, come.sound)
  if #judged.ids ~= vim.api.nvim_buf_line_count(self.buf) then
    -- An empty buffer has a line that Neovim does not tell of.
    judged, is_first = self:read(), true
  end
  self.judged = judged
  if is_first then
    self.from, self.upto = 1, #judged.ids
    return
  end
  local before = self.from
  if before and self.upto >= last then
    self.upto = self.upto + upto - last
  end
  self.from = math.min(before or first + 1, first + 1)
  self.upto = math.max(before and self.upto or 0, upto)
end

--- What they stand for now.
---@return lazycelery.JudgedLines
function Lines:all()
  self.judged = self.judged or self:read()
  return self.judged
end

--- The lines that were changed since this was asked, with the one that came to stand behind them.
---@return integer from
---@return integer upto
function Lines:changed()
  local from, upto = self.from or 1, self.from and self.upto + 1 or 0
  self.from, self.upto = nil, 0
  return from, math.min(upto, #self:all().ids)
end

--- They were drawn anew.
function Lines:forget()
  self.judged, self.from, self.upto = nil, nil, 0
end

--- Follows the lines of a buffer.
---@param buf integer
---@param judge fun(lines: string[]): lazycelery.JudgedLines
---@param drawn fun(): lazycelery.JudgedLines what the lines were drawn to stand for
---@return lazycelery.QueueLines
function M.follow(buf, judge, drawn)
  local lines = setmetatable({ buf = buf, judge = judge, drawn = drawn, upto = 0 }, Lines)
  vim.api.nvim_buf_attach(buf, false, {
    on_lines = function(_, _, _, first, last, upto)
      if buffer.is_changing(buf) then
        lines:forget()
      else
        lines:replaced(first, last, upto)
      end
    end,
  })
  return lines
end

return M
