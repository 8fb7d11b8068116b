--- The help of a view, made from the table that maps its keys: it cannot lie.
local float = require("lazycelery.float")
local keys = require("lazycelery.keys")
local text = require("lazycelery.text")

local M = {}

--- The keys of one action take as many cells at most, and what stands beside the words.
local KEYS_CELLS, MARGIN_CELLS = 24, 10

--- `keys   what they do`, one action a line.
---@param def lazycelery.ViewDef
---@return { [1]: string, [2]: string }[]
function M.rows(def)
  local actions = require("lazycelery.actions")
  return vim.tbl_map(function(row)
    return { table.concat(row.keys, " "), actions.describe(row.action) }
  end, keys.help(def))
end

--- The rows as lines: what is too long for its column goes on below.
---@param rows { [1]: string, [2]: string }[]
---@return string[] lines
---@return lazycelery.Span[][] spans
local function layout(rows)
  local cells = 0
  for _, row in ipairs(rows) do
    cells = math.max(cells, text.width(row[1]))
  end
  cells = math.min(cells, KEYS_CELLS)
  local lines, spans = {}, {}
  for _, row in ipairs(rows) do
    local names = text.wrap(row[1], cells)
    local words = text.wrap(row[2], vim.o.columns - cells - MARGIN_CELLS)
    for i = 1, math.max(#names, #words) do
      local name = names[i] or ""
      lines[#lines + 1] = " " .. text.pad(name, cells) .. "   " .. (words[i] or "")
      spans[#lines] = { { 1, 1 + #name, "LazyCeleryKey" } }
    end
  end
  return lines, spans
end

--- What rows that are shown do not tell, and why: each once.
---@param view lazycelery.View
---@return { [1]: string, [2]: string }[]
local function lacking(view)
  local found, known = {}, {}
  local lacks = view.def.lacks
  for _, id in ipairs(view.shown) do
    local row = view.rows[id]
    local what, why ---@type string?, string?
    if lacks and row then
      what, why = lacks(row)
    end
    if what and why and not known[what] then
      known[what] = true
      found[#found + 1] = { what, why }
    end
  end
  return found
end

---@param view lazycelery.View
function M.open(view)
  local def = view.def
  local rows = vim.list_extend(lacking(view), def.editing and def.editing.help or {})
  local lines, spans = layout(vim.list_extend(rows, M.rows(def)))
  local title = " " .. def.title .. ": keys"
  local more = #lines + 2 > float.most() and "; more below" or ""
  local head = title .. "   q closes, :help lazycelery tells all" .. more
  table.insert(lines, 1, head)
  table.insert(spans, 1, { { 0, #title, "LazyCeleryTitle" }, { #title, #head, "LazyCeleryDim" } })
  table.insert(lines, 2, "")
  table.insert(spans, 2, {})
  float.open({
    lines = lines,
    spans = spans,
    filetype = "lazycelery-help",
    enter = true,
    close = { "q", "<Esc>", "g?", "<F1>" },
  })
end

return M
