--- Rows and columns → lines and highlights. Pure: same rows, same width, same text.
---
--- Columns have ranks: those with the lowest come first into what room there is. A width is fixed
--- or only grows while the view lives, so that one new row does not move all the others.
local text = require("lazycelery.text")

local M = {}

local INDENT, GAP = 1, 2

--- Cells below which a title says nothing.
local LEAST = 3

---@param columns lazycelery.Column[]
---@return lazycelery.Grid
function M.new(columns)
  local seen = {}
  for _, column in ipairs(columns) do
    seen[column.field] = math.max(column.min, text.width(column.title))
  end
  return { columns = columns, seen = seen, width = 0, generation = 0, shown = {} }
end

--- The columns that fit `width`, in the order they are given.
---@param columns lazycelery.Column[]
---@param width integer
---@return lazycelery.Column[]
local function choose(columns, width)
  local by_rank = vim.list_extend({}, columns)
  table.sort(by_rank, function(a, b)
    return a.rank < b.rank
  end)
  local room, chosen = width - INDENT + GAP, {}
  for _, column in ipairs(by_rank) do
    local need = math.max(column.min, text.width(column.title)) + GAP
    if need > room and next(chosen) then
      break
    end
    chosen[column.field] = true
    room = room - need
  end
  return vim.tbl_filter(function(column)
    return chosen[column.field] and not (column.yields_to and chosen[column.yields_to])
  end, columns)
end

--- Lays the grid out anew where the width changed or a column wants to grow.
---@param grid lazycelery.Grid
---@param width integer display cells
---@return boolean changed every line has to be made again
function M.layout(grid, width)
  if width == grid.width and not grid.grown then
    return false
  end
  grid.grown = false
  local chosen = choose(grid.columns, width)
  local room, flexible = width - INDENT + GAP, nil
  for _, column in ipairs(chosen) do
    room = room - math.max(column.min, text.width(column.title)) - GAP
    flexible = column.flex and column or flexible
  end
  local shown, x, changed = {}, INDENT, width ~= grid.width or #chosen ~= #grid.shown
  for i, column in ipairs(chosen) do
    local least = math.max(column.min, text.width(column.title))
    local grow = math.max(0, math.min(grid.seen[column.field] - least, room))
    local cells = least + (column.flex and 0 or grow)
    room = room - (column.flex and 0 or grow)
    shown[i] = { column = column, width = cells }
  end
  for i, place in ipairs(shown) do
    if place.column == flexible then
      place.width = place.width + math.max(0, room)
    end
    local before = grid.shown[i]
    changed = changed or before.column ~= place.column or before.width ~= place.width
    place.x = x
    x = x + place.width + GAP
  end
  if changed then
    grid.shown, grid.width = shown, width
    grid.generation = grid.generation + 1
  end
  return changed
end

--- Appends one cell, cut to its width.
---@param parts string[]
---@param spans lazycelery.Span[]
---@param bytes integer
---@param chunks lazycelery.Chunk[]
---@param cells integer
---@return integer bytes the new length of the line
---@return integer left cells not used: a wide character that did not fit leaves one
local function append(parts, spans, bytes, chunks, cells)
  local left = cells
  for _, chunk in ipairs(chunks) do
    local piece = chunk[1]
    if left <= 0 then
      break
    end
    local width = chunk[3] or text.width(piece)
    if width > left then
      piece = text.cut(piece, left)
      width = text.width(piece)
    end
    left = left - width
    parts[#parts + 1] = piece
    if chunk[2] and piece ~= "" then
      spans[#spans + 1] = { bytes, bytes + #piece, chunk[2] }
    end
    bytes = bytes + #piece
  end
  return bytes, left
end

local NOTHING = {} ---@type lazycelery.Chunk[]

--- What a column says about a row, as chunks, and their width.
---@param column lazycelery.Column
---@param row table
---@param context lazycelery.Context
---@return lazycelery.Chunk[] chunks
---@return integer cells
function M.cell(column, row, context)
  local value, group = column.format(row, context)
  if value == nil then
    return NOTHING, 0
  elseif type(value) ~= "table" then
    local piece = text.clean(value)
    local cells = text.width(piece)
    return { { piece, group or column.hl, cells } }, cells
  end
  local chunks = value
  local cells = 0
  for _, chunk in ipairs(chunks) do
    chunk[1] = text.clean(chunk[1])
    chunk[3] = text.width(chunk[1])
    cells = cells + chunk[3]
  end
  return chunks, cells
end

--- One row as a line of text and its highlights (byte ranges).
---@param grid lazycelery.Grid
---@param row table
---@param context lazycelery.Context
---@return string line
---@return lazycelery.Span[] spans
function M.line(grid, row, context)
  local parts, spans, bytes = { (" "):rep(INDENT) }, {}, INDENT
  for i, place in ipairs(grid.shown) do
    local column = place.column
    local chunks, cells = M.cell(column, row, context)
    local seen = grid.seen[column.field]
    if cells > seen and column.max and seen < column.max then
      grid.seen[column.field] = math.min(cells, column.max)
      grid.grown = true
    end
    if cells > place.width and column.cut == "left" and #chunks == 1 then
      local cut = text.cut(chunks[1][1], place.width, true)
      cells = text.width(cut)
      chunks[1] = { cut, chunks[1][2], cells }
    end
    local before = column.align == "right" and math.max(0, place.width - cells) or 0
    if before > 0 then
      parts[#parts + 1] = (" "):rep(before)
      bytes = bytes + before
    end
    local blanks ---@type integer
    bytes, blanks = append(parts, spans, bytes, chunks, place.width - before)
    blanks = blanks + GAP
    if i < #grid.shown then
      parts[#parts + 1] = (" "):rep(blanks)
      bytes = bytes + blanks
    end
  end
  return text.trim_end(table.concat(parts)), spans
end

--- Which way a sort goes.
---@param sort string
---@param ascii boolean
---@return string
function M.arrow(sort, ascii)
  local down = sort:sub(1, 1) == "-"
  return ascii and (down and "v" or "^") or (down and "↓" or "↑")
end

--- The titles above the columns within `cells`, the last one cut or moved to its left where the badge
--- stands above its column; the sorted one carries an arrow.
---@param grid lazycelery.Grid
---@param sort? string
---@param ascii boolean
---@param cells integer
---@return string
function M.header(grid, sort, ascii, cells)
  local field = sort and sort:gsub("^%-", "")
  local parts = { (" "):rep(INDENT) }
  for i, place in ipairs(grid.shown) do
    local column = place.column
    local title = column.title
    if sort and column.sort == field then
      title = title .. M.arrow(sort, ascii)
    end
    -- The arrow may use the gap: a title as wide as its column stays whole.
    local right = column.align == "right"
    local spare = text.width(title) > place.width and GAP or 0
    local room = cells - place.x
    if room < LEAST then
      break
    end
    title = text.cut(title, math.min(place.width + 1, room))
    parts[#parts + 1] = text.pad(title, math.min(place.width, room), right)
    if i < #grid.shown then
      parts[#parts + 1] = (" "):rep(spare > 0 and GAP - 1 or GAP)
    end
  end
  return text.trim_end(table.concat(parts))
end

--- The column at a display cell (0-based).
---@param grid lazycelery.Grid
---@param x integer
---@return lazycelery.Column?
function M.column_at(grid, x)
  local found = grid.shown[1]
  for _, place in ipairs(grid.shown) do
    if place.x <= x then
      found = place
    end
  end
  return found and found.column
end

return M
