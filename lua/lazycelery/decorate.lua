--- Highlights of visible lines, gone after the redraw: no marks pile up. And the notice that a window
--- looks otherwise than its header and columns were made for.
local paint = require("lazycelery.paint")
local registry = require("lazycelery.registry")
local window = require("lazycelery.window")

local spans = vim.api.nvim_create_namespace("lazycelery")

---@param buf integer
---@param row integer
local function line(buf, row)
  local view = registry.get(buf)
  local id = view and view.shown[row + 1]
  local cell = view and view.cells[id]
  if not view or not cell then
    return
  end
  local found = cell.spans
  if view.gone[id] or (view.is_list and view.stale) then
    found = { { 0, #cell.line, "LazyCeleryDim" } }
  end
  for _, span in ipairs(found) do
    vim.api.nvim_buf_set_extmark(buf, spans, row, span[1], {
      end_col = span[2],
      hl_group = span[3],
      ephemeral = true,
      strict = false,
      priority = 50,
    })
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

vim.api.nvim_set_decoration_provider(spans, {
  on_win = function(_, win, buf)
    return on_window(win, buf)
  end,
  on_line = function(_, _, buf, row)
    line(buf, row)
  end,
})
