--- The help of a view, made from the table that maps its keys: it cannot lie.
local float = require("lazycelery.float")
local keys = require("lazycelery.keys")
local text = require("lazycelery.text")

local M = {}

--- `keys   what they do`, one action a line.
---@param def lazycelery.ViewDef
---@return { [1]: string, [2]: string }[]
function M.rows(def)
  local actions = require("lazycelery.actions")
  return vim.tbl_map(function(row)
    return { table.concat(row.keys, " "), actions.describe(row.action) }
  end, keys.help(def))
end

---@param def lazycelery.ViewDef
function M.open(def)
  local rows, cells = M.rows(def), 0
  for _, row in ipairs(rows) do
    cells = math.max(cells, text.width(row[1]))
  end
  cells = math.min(cells, 24)
  local lines = { " " .. def.title .. ": keys", "" }
  local spans = { { { 0, #lines[1], "LazyCeleryTitle" } }, {} }
  for _, row in ipairs(rows) do
    lines[#lines + 1] = " " .. text.pad(row[1], cells) .. "   " .. row[2]
    spans[#lines] = { { 1, 1 + #row[1], "LazyCeleryKey" } }
  end
  local last = " :help lazycelery   q closes"
  vim.list_extend(lines, { "", last })
  spans[#lines] = { { 0, #last, "LazyCeleryDim" } }
  float.open({
    lines = lines,
    spans = spans,
    filetype = "lazycelery-help",
    enter = true,
    close = { "q", "<Esc>", "g?", "<F1>" },
  })
end

return M
