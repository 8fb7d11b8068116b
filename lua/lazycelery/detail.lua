--- Pages of one thing: a head, then sections that are folds. Pure.
local folds = require("lazycelery.folds")
local text = require("lazycelery.text")

local M = {}

local NOTE_COLUMN = 100

--- Cells that the names of fields have at least.
local NAME_CELLS = 12

---@class lazycelery.Page
---@field width integer
---@field items table<string, any>
---@field private ids string[]
---@field private lines string[]
---@field private spans lazycelery.Span[][]
---@field private name string
---@field private counts table<string, integer>
local Page = {}
Page.__index = Page

---@param width integer display cells
---@return lazycelery.Page
function M.page(width)
  return setmetatable({
    width = width,
    items = {},
    ids = {},
    lines = {},
    spans = {},
    name = "head",
    counts = {},
  }, Page)
end

---@param line string
---@param spans lazycelery.Span[]
---@param item? any
function Page:push(line, spans, item)
  local count = (self.counts[self.name] or 0) + 1
  self.counts[self.name] = count
  local id = self.name .. ":" .. count
  table.insert(self.ids, id)
  table.insert(self.lines, text.trim_end(line))
  table.insert(self.spans, spans)
  self.items[id] = item
end

--- One line of chunks; `item` is what `<CR>` finds there: `{ frame }`, `{ task }`, `{ worker }` …
---@param chunks lazycelery.Chunk[]
---@param item? any
---@param indent? integer default 3, inside a section
function Page:line(chunks, item, indent)
  local parts, spans = { (" "):rep(indent or 3) }, {}
  local bytes = #parts[1]
  for _, chunk in ipairs(chunks) do
    local piece = text.clean(chunk[1])
    parts[#parts + 1] = piece
    if chunk[2] and piece ~= "" then
      spans[#spans + 1] = { bytes, bytes + #piece, chunk[2] }
    end
    bytes = bytes + #piece
  end
  self:push(table.concat(parts), spans, item)
end

--- A line of the head, above the sections.
---@param chunks lazycelery.Chunk[]
---@param item? any
function Page:head(chunks, item)
  self:line(chunks, item, 1)
end

--- Begins a section. `note` says where its values are from and whether they are exact.
---@param title string
---@param note? string
---@param name? string steady name of the section, where the title changes
function Page:section(title, note, name)
  self.name = "blank"
  self:push("", {})
  self.name = name or title
  local line = folds.OPEN .. " " .. title
  local spans = { { 0, #line, "LazyCeleryTitle" } } ---@type lazycelery.Span[]
  if note and note ~= "" then
    local room = math.min(self.width, NOTE_COLUMN) - text.width(line) - 2
    note = text.cut(text.clean(note), room)
    local from = #line + 2 + math.max(0, room - text.width(note))
    line = line .. (" "):rep(from - #line) .. note
    spans[2] = { from, #line, "LazyCeleryDim" }
  end
  self:push(line, spans)
end

--- `name   value`, the value over as many lines as it needs.
---@param name string
---@param value string|number|boolean
---@param group? string
---@param item? any
---@param cells? integer of the names, where several stand in a column
function Page:field(name, value, group, item, cells)
  cells = math.max(cells or 0, NAME_CELLS)
  local label = text.pad(text.cut(name, cells), cells) .. "  "
  for i, line in ipairs(vim.split(tostring(value), "\n")) do
    local before = i == 1 and label or (" "):rep(text.width(label))
    self:line({ { before, "LazyCeleryDim" }, { line, group } }, item)
  end
end

---@return lazycelery.Picture
function Page:picture()
  return { ids = self.ids, lines = self.lines, spans = self.spans, is_list = true }
end

--- Facts of the head, `queue high · worker celery@web-1`, over as many lines as they need; an
--- absent one leaves no gap.
---@param facts { [1]: string, [2]: any, [3]: string? }[] label, value, group
function Page:facts(facts)
  local chunks, cells = {}, 1
  for _, fact in ipairs(facts) do
    if fact[2] ~= nil and fact[2] ~= "" then
      local label, value = fact[1] ~= "" and fact[1] .. " " or "", tostring(fact[2])
      local need = text.width(label .. value) + 3
      if #chunks > 0 and cells + need > self.width then
        self:head(chunks)
        chunks, cells = {}, 1
      elseif #chunks > 0 then
        chunks[#chunks + 1] = { " · ", "LazyCeleryDim" }
      end
      vim.list_extend(chunks, { { label, "LazyCeleryDim" }, { value, fact[3] } })
      cells = cells + need
    end
  end
  if #chunks > 0 then
    self:head(chunks)
  end
end

return M
