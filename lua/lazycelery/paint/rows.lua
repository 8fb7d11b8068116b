--- The rows of a list in its buffer, kept up by what changed and no more.
---
--- The buffer holds `view.shown`, one id a line, and `view.at` knows each id's line. Where the order
--- changed, lines come and go in place; where a row changed, its line is made again. What is visible
--- is made first; the rest in slices of a few milliseconds, so that no key waits. A line whose turn
--- has not come is blank, and is out of sight.
local buffer = require("lazycelery.buffer")
local config = require("lazycelery.config")
local cursors = require("lazycelery.paint.cursors")
local format = require("lazycelery.format")
local grid = require("lazycelery.table")
local head = require("lazycelery.head")
local hold = require("lazycelery.hold")
local patch = require("lazycelery.patch")
local window = require("lazycelery.window")

local M = {}

--- Milliseconds of a slice, and lines between two looks at the clock.
local SLICE_MS, LOOK_EVERY = 2, 8

local HEADER, MORE = "notice:header", "notice:more"

--- Rows that a list may grow to.
---@return integer
function M.most()
  return math.max(1, math.min(5000, config.options.rows))
end

--- Lines that some window shows, as a range that covers them all.
---@param view lazycelery.View
---@return integer first
---@return integer last
local function visible(view)
  local first, last = nil, 0 ---@type integer?, integer
  for _, win in ipairs(window.in_sight(view.buf)) do
    local info = vim.fn.getwininfo(win)[1] --[[@as vim.fn.getwininfo.ret.item]]
    first = math.min(first or info.topline, info.topline)
    last = math.max(last, info.topline + info.height)
  end
  return math.max(1, first or 1), last
end

--- The line a list is held at, the header aside: 1 follows.
---@param view lazycelery.View
---@return integer
local function held_at(view)
  local line = 1
  if view.is_list and not view.let_go then
    local above = view.shown[1] == HEADER and 1 or 0
    for _, win in ipairs(window.in_sight(view.buf)) do
      line = math.max(line, vim.api.nvim_win_get_cursor(win)[1] - above)
    end
  end
  return line
end

--- Is there a row to show, one that left the window and is held included?
---@param view lazycelery.View
---@return boolean
function M.any(view)
  for _, key in ipairs(view.keys) do
    if view.rows[key] then
      return true
    end
  end
  return view.is_list and held_at(view) > 1
end

--- Ids of rows, those left out whose row is still on its way, and what is no row: mostly all of them.
---@param view lazycelery.View
---@param ids string[]
---@return string[] found the very list where nothing is left out
local function having_rows(view, ids)
  local found, rows, all = {}, view.rows, true
  for _, id in ipairs(ids) do
    all = all and rows[id] ~= nil
  end
  if all then
    return ids
  end
  for _, id in ipairs(ids) do
    if rows[id] then
      found[#found + 1] = id
    end
  end
  return found
end

--- `… 43,210 more`: how many match, and what to do about it.
---@param view lazycelery.View
---@return string?
function M.tail(view)
  if view.loading then
    return nil
  end
  local more = (view.total or 0) - #view.keys
  local unseen = view.incomplete
    and "not all was looked at: " .. table.concat(view.incomplete, ", ")
  if more <= 0 then
    return unseen and " … " .. unseen
  end
  local least = view.exact == false and "at least " or ""
  local advice = {}
  if view.def.filtered then
    table.insert(advice, "i narrows")
  end
  if view.limit < M.most() then
    table.insert(advice, view.def.editing and "G loads" or "g<CR> loads")
  end
  local told = (" … %s%s more: %s"):format(least, format.count(more), table.concat(advice, ", "))
  return told .. (unseen and " · " .. unseen or "")
end

--- A line of ours among the rows: the header where another plugin keeps the winbar, and the tail.
---@param view lazycelery.View
---@param id string
---@param text string?
---@param group string
local function note(view, id, text, group)
  local before, line = view.cells[id], view.at[id]
  if (before and before.line) == text then
    return
  end
  view.cells[id] = text and { line = text, spans = { { 0, #text, group } } } or nil
  if text and line then
    vim.api.nvim_buf_set_lines(view.buf, line - 1, line, false, { text })
  else
    view.moved = true
  end
end

---@param view lazycelery.View
local function notes(view)
  if view.def.editing then
    return
  end
  note(view, HEADER, head.as_line(view), "LazyCeleryHeader")
  note(view, MORE, M.tail(view), "LazyCeleryDim")
end

--- What is to stand in the buffer, in order, and which of it left the window.
---@param view lazycelery.View
---@param held integer
---@return string[]
local function arrange(view, held)
  local known = having_rows(view, view.keys)
  local shown = held > 1 and having_rows(view, view.shown) or {}
  local order
  order, view.waiting = hold.arrange(shown, known, held)
  view.gone = {}
  if order ~= known then
    local in_window = {}
    for _, key in ipairs(known) do
      in_window[key] = true
    end
    for _, key in ipairs(order) do
      view.gone[key] = not in_window[key] or nil
    end
  end
  local header, more = view.cells[HEADER], view.cells[MORE]
  if (header or more) and order == view.keys then
    order = vim.list_slice(order)
  end
  if header then
    table.insert(order, 1, HEADER)
  end
  if more then
    order[#order + 1] = MORE
  end
  return order
end

--- Makes the cell of a row, unless it has one of this row, this layout and, if it ticks, this time.
---@param view lazycelery.View
---@param key string
---@param context lazycelery.Context
---@param ticks boolean
---@return lazycelery.CachedLine? made
local function renew(view, key, context, ticks)
  local cell, row, time = view.cells[key], view.rows[key], math.floor(context.time)
  local fresh = cell
    and cell.row == row
    and cell.generation == view.grid.generation
    and not (ticks and cell.ticking and cell.time ~= time)
  if fresh or not row then
    return nil
  end
  context.ticking = false
  local line, spans = grid.line(view.grid, row, context)
  if view.def.editing then
    line, spans = view.def.editing.line(view, row, line, spans)
  end
  local made = {
    row = row,
    generation = view.grid.generation,
    ticking = context.ticking,
    time = time,
    line = line,
    spans = spans,
  }
  view.cells[key] = made
  return made
end

local BLANK = { line = "", spans = {} } ---@type lazycelery.CachedLine

--- Lines come and go until the buffer holds `order`.
---@param view lazycelery.View
---@param order string[]
local function place(view, order)
  local at, rows, generation = view.at, view.rows, view.grid.generation
  local hunks = patch.moves(view.shown, order, at)
  for i = #hunks, 1, -1 do
    local from, gone, start, come = unpack(hunks[i] --[[@as integer[] ]])
    ---@cast from integer
    ---@cast gone integer
    ---@cast start integer
    ---@cast come integer
    local lines = {}
    for line = start, start + come - 1 do
      local id = order[line] --[[@as string]]
      local cell = view.cells[id]
      if not cell then
        cell = BLANK
        view.cells[id] = cell
      end
      lines[#lines + 1] = cell.line
      if cell.row ~= rows[id] or cell.generation ~= generation then
        view.dirty[id] = true
      end
    end
    vim.api.nvim_buf_set_lines(view.buf, from - 1, from - 1 + gone, false, lines)
    for line = from, from + gone - 1 do
      at[view.shown[line]] = nil
    end
  end
  -- The table stays, for it holds most of these ids already.
  for line, id in ipairs(order) do
    at[id] = line
  end
  view.shown = order
end

--- Makes the line of an id anew, and writes it where it differs.
---@param view lazycelery.View
---@param line integer
---@param context lazycelery.Context
---@param ticks boolean
---@return boolean made
local function redo(view, line, context, ticks)
  local id = view.shown[line] --[[@as string]]
  local before = view.cells[id]
  local cell = renew(view, id, context, ticks)
  if cell and cell.line ~= before.line then
    vim.api.nvim_buf_set_lines(view.buf, line - 1, line, false, { cell.line })
  end
  return cell ~= nil
end

--- Tells, now and then asked, whether a slice is over.
---@return fun(): boolean
local function clock()
  local began, done = vim.uv.hrtime(), 0
  return function()
    done = done + 1
    return done % LOOK_EVERY == 0 and (vim.uv.hrtime() - began) / 1e6 > SLICE_MS
  end
end

--- Fills blank lines, and no other: for a view that must not change.
---@param view lazycelery.View
---@param context lazycelery.Context
---@return boolean unfinished
local function fill_blank(view, context)
  local over = clock()
  for id in pairs(view.dirty) do
    local line = view.at[id]
    if line and view.cells[id] == BLANK then
      view.dirty[id] = nil
      redo(view, line, context, false)
      if over() then
        return true
      end
    end
  end
  return false
end

--- Makes the visible lines whose row, whose columns or whose time changed.
---@param view lazycelery.View
---@param context lazycelery.Context
local function freshen(view, context)
  local first, last = visible(view)
  for line = first, math.min(last, #view.shown) do
    redo(view, line, context, true)
  end
end

--- Makes the other lines whose row, or whose columns, changed, as many as a slice holds.
---@param view lazycelery.View
---@param context lazycelery.Context
---@return boolean unfinished
local function fill(view, context)
  local over = clock()
  for id in pairs(view.dirty) do
    view.dirty[id] = nil
    local line = view.at[id]
    if line and redo(view, line, context, false) and over() then
      return true
    end
  end
  if view.swept ~= view.grid.generation then
    for line = view.sweeping or 1, #view.shown do
      if redo(view, line, context, false) and over() then
        view.sweeping = line + 1
        return true
      end
    end
    view.swept, view.sweeping = view.grid.generation, nil
  end
  return false
end

--- The columns, as wide as the narrowest window in sight wants them.
---@param view lazycelery.View
---@param context lazycelery.Context
local function layout(view, context)
  if
    grid.layout(view.grid, view.width --[[@as integer]])
  then
    view.sweeping = nil
  end
  context.columns = {}
  for _, shown in ipairs(view.grid.shown) do
    context.columns[shown.column.field] = true
  end
end

--- What will be visible is made before it is placed, so that no blank line is ever seen.
---@param view lazycelery.View
---@param order string[]
---@param context lazycelery.Context
local function prepare(view, order, context)
  local first, last = visible(view)
  for line = first, math.min(last, #order) do
    local id = order[line] --[[@as string]]
    if not view.at[id] then
      renew(view, id, context, true)
    end
  end
end

--- Forgets rows that neither the window nor the screen holds, once they are many.
---@param view lazycelery.View
local function forget(view)
  if view.held_rows <= #view.keys + #view.shown + 500 then
    return
  end
  local kept = {}
  for _, key in ipairs(view.keys) do
    kept[key] = true
  end
  local left = 0
  for key in pairs(view.rows) do
    if kept[key] or view.at[key] then
      left = left + 1
    else
      view.rows[key], view.cells[key] = nil, nil
    end
  end
  view.held_rows = left
end

---@param view lazycelery.View
---@param context lazycelery.Context
---@return boolean unfinished
local function write(view, context)
  layout(view, context)
  if not view.is_list then
    -- From a notice: nothing of it stays.
    view.cells, view.dirty, view.moved = {}, {}, true
  end
  notes(view)
  local held, placed = held_at(view), false
  local let_go = held == 1 and (view.waiting > 0 or next(view.gone) ~= nil)
  if view.moved or view.let_go or let_go then
    local order = arrange(view, held)
    prepare(view, order, context)
    if view.grid.grown then
      layout(view, context)
      prepare(view, order, context)
    end
    place(view, order)
    view.moved, view.is_list, view.lines, placed = false, true, nil, true
  end
  freshen(view, context)
  -- To place lines takes the time of a slice.
  local unfinished = placed or fill(view, context)
  if view.grid.grown then
    layout(view, context)
    freshen(view, context)
    unfinished = true
  end
  return unfinished
end

--- Runs what writes, with the buffer open for it and each cursor kept on its item.
---@param view lazycelery.View
---@param context lazycelery.Context
---@param action fun(view: lazycelery.View, context: lazycelery.Context): boolean
---@return boolean unfinished
local function writing(view, context, action)
  local before, follow = cursors.save(view), not view.let_go
  local ok, unfinished = buffer.change(view.buf, function()
    return action(view, context)
  end)
  if not ok then
    -- Some of it may stand: the next attempt replaces all lines.
    view.shown, view.at, view.moved = { "unknown" }, {}, true
    for line = 2, vim.api.nvim_buf_line_count(view.buf) do
      view.shown[line] = "unknown:" .. line
    end
    error(unfinished, 0)
  end
  cursors.restore(view, before, follow)
  return unfinished --[[@as boolean]]
end

--- Draws what changed, as much of it as a slice holds.
---@param view lazycelery.View
---@param context lazycelery.Context
---@return boolean unfinished
function M.draw(view, context)
  local unfinished = writing(view, context, write)
  if not unfinished and not view.loading then
    forget(view)
  end
  return unfinished
end

--- Goes on in a view that must not change: only lines that were never made are.
---@param view lazycelery.View
---@param context lazycelery.Context
---@return boolean unfinished
function M.complete(view, context)
  return writing(view, context, fill_blank)
end

return M
