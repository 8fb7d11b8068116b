--- Highlights of visible lines, gone after the redraw: no marks pile up. And the notice that a window
--- looks otherwise than its header and columns were made for.
local environment = require("lazycelery.environment")
local folds = require("lazycelery.folds")
local paint = require("lazycelery.paint")
local registry = require("lazycelery.registry")
local window = require("lazycelery.window")

local M = {}

local marks = vim.api.nvim_create_namespace("lazycelery")

--- How a line looks; one that is of the past is dim.
---@param view lazycelery.View
---@param lnum integer
---@return lazycelery.Span[]
local function spans(view, lnum)
  if view.def.editing then
    return view.def.editing.spans(view, lnum)
  end
  local id = view.shown[lnum]
  local cell = view.cells[id]
  if not cell then
    return {}
  elseif view.gone[id] or (view.is_list and environment.is_past(view.id.environment)) then
    return { { 0, #cell.line, "LazyCeleryDim" } }
  end
  return cell.spans
end

--- 'foldtext': the heading, turned, as it looks open.
---@return lazycelery.Chunk[]
function M.fold()
  local line, view = folds.text(), registry.get()
  local chunks, from = {}, 0
  for _, span in ipairs(view and spans(view, vim.v.foldstart) or {}) do
    chunks[#chunks + 1] = { line:sub(from + 1, span[1]) }
    chunks[#chunks + 1] = { line:sub(span[1] + 1, span[2]), span[3] }
    from = span[2]
  end
  chunks[#chunks + 1] = { line:sub(from + 1) }
  return chunks
end

--- What every highlight is set with: one table, as a screen has hundreds at each redraw.
local mark = { ephemeral = true, strict = false, priority = 50 } ---@type vim.api.keyset.set_extmark

---@param view lazycelery.View
---@param row integer
local function decorate(view, row)
  for _, span in ipairs(spans(view, row + 1)) do
    mark.end_col, mark.hl_group = span[2], span[3]
    mark.conceal = not span[3] and "" or nil
    vim.api.nvim_buf_set_extmark(view.buf, marks, row, span[1], mark)
  end
end

--- What a window looked like when its header was made: width, scroll, number column.
---@type table<integer, string>
local looked = {}

---@param win integer
---@param buf integer
---@return boolean
local function on_window(win, buf)
  local view = registry.get(buf)
  if not view then
    return false
  end
  local info = vim.fn.getwininfo(win)[1] --[[@as table]]
  local look = ("%d %d %d %d"):format(
    info.width,
    info.textoff,
    info.leftcol or 0,
    view.is_list and info.topline or 0
  )
  if looked[win] ~= look or view.width ~= (window.narrowest(buf) or view.width) then
    looked[win] = look
    paint.soon(view)
  end
  return true
end

vim.api.nvim_set_decoration_provider(marks, {
  on_win = function(_, win, buf)
    return on_window(win, buf)
  end,
  on_line = function(_, _, buf, row)
    local view = registry.get(buf)
    if view then
      decorate(view, row)
    end
  end,
})

return M
