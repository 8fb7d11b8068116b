-- Rows and columns → lines, highlights and the header.
local expect = require("expect")
local table_of = require("lazycelery.table")

local context = { ascii = false, calm = false }

---@param field string
---@param more table
---@return lazycelery.Column
local function column(field, more)
  return vim.tbl_extend("force", {
    field = field,
    title = field:upper(),
    rank = 1,
    min = 4,
    format = function(row)
      return row[field]
    end,
  }, more)
end

local grid = table_of.new({
  column("state", { rank = 1, min = 8, sort = "state" }),
  column("name", { rank = 2, min = 6, max = 12, cut = "left", hl = "Name" }),
  column("count", { rank = 4, min = 7, align = "right", sort = "count" }),
  column("result", { rank = 3, min = 8, flex = true }),
})

---@param row table
---@return string line
---@return lazycelery.Span[] spans
local function line(row)
  return table_of.line(grid, row, context)
end

-- 1 + 8 + 2 + 6 + 2 + 8 = 27: the column of the last rank does not fit.
expect.yes(table_of.layout(grid, 30))
expect.equal(table_of.header(grid, nil, false, 50), " STATE     NAME    RESULT")
expect.equal(
  line({ state = "OK", name = "a.b", count = "7", result = "fine" }),
  " OK        a.b     fine"
)

-- All ranks fit; numbers stand right; the flexible column takes the rest; no blank at the end.
expect.yes(table_of.layout(grid, 50))
expect.equal(table_of.header(grid, "-count", false, 50), " STATE     NAME     COUNT↓  RESULT")
expect.equal(
  line({ state = "OK", name = "a.b", count = "7", result = "" }),
  " OK        a.b           7"
)

-- Under the badge the last title is cut, or moved to the left where numbers stand below it.
expect.equal(table_of.header(grid, nil, false, 33), " STATE     NAME      COUNT  RESU…")
expect.equal(table_of.header(grid, nil, false, 25), " STATE     NAME     COUNT")
expect.equal(table_of.header(grid, nil, false, 21), " STATE     NAME")

-- A column grows where a cell asks for it, up to its most, and never shrinks.
line({ name = "shop.tasks.charge" })
expect.yes(grid.grown)
expect.yes(table_of.layout(grid, 50), "a grown column lays out anew")
expect.equal(line({ state = "OK", name = "shop.tasks.charge" }), " OK        …asks.charge")
expect.yes(not table_of.layout(grid, 50), "nothing changed")

-- Highlights are bytes of the very string, wide characters included.
local text, spans = line({ state = "✗ 日本", name = "a", result = "x" })
expect.equal(text, " ✗ 日本    a                      x")
expect.equal(text:sub(spans[1][1] + 1, spans[1][2]), "a")
expect.equal(spans[1][3], "Name")

-- What is too long is cut, in chunks too, and ends where the screen ends.
text = line({ result = { { ("x"):rep(10), "A" }, { ("y"):rep(90), "B" } } })
expect.equal(vim.api.nvim_strwidth(text), 50)
expect.yes(vim.endswith(text, "y…"))

-- A line break in a value never breaks a row.
expect.yes(not line({ result = "a\nb" }):find("\n"))

expect.equal(table_of.column_at(grid, 0).field, "state")
expect.equal(table_of.column_at(grid, 12).field, "name")
expect.equal(table_of.column_at(grid, 400).field, "result")
