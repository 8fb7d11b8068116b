-- N16: what I look at never runs away.
local arrange = require("lazycelery.hold").arrange
local expect = require("expect")

---@param shown string
---@param keys string
---@param cursor integer
---@return string order
---@return integer waiting
local function case(shown, keys, cursor)
  local order, waiting = arrange(vim.split(shown, ""), vim.split(keys, ""), cursor)
  return table.concat(order), waiting
end

---@param shown string
---@param keys string
---@param cursor integer
---@param order string
---@param waiting integer
local function check(shown, keys, cursor, order, waiting)
  local got, kept_out = case(shown, keys, cursor)
  expect.equal(
    { got, kept_out },
    { order, waiting },
    ("%s → %s, cursor %d"):format(shown, keys, cursor)
  )
end

-- On line 1 it follows.
check("abc", "xyab", 1, "xyab", 0)
-- Elsewhere what is new above waits, and what left the window stays.
check("abc", "xyab", 2, "abc", 2)
-- A new row that sorts below the cursor may come in: nothing above it moves.
check("abd", "abcd", 2, "abcd", 0)
check("abd", "abcd", 3, "abd", 1)
-- The rest of a first page arrives while the cursor moves already.
check("abc", "abcdef", 2, "abcdef", 0)
-- A row below that is updated and jumps to the top drags no newcomers down with it.
check("abcd", "dxyabc", 2, "abcd", 2)
-- The row under the cursor is gone from the window.
check("abc", "xac", 2, "abc", 1)
-- All rows up to the cursor are gone: nothing may come in but with `gg` or `R`.
check("abc", "xyz", 2, "abc", 3)
check("abc", "", 2, "abc", 0)

-- Whatever happens: nothing above the cursor moves, nothing stands twice, nothing shown is lost.
math.randomseed(7)
for _ = 1, 2000 do
  local pool = vim.split("abcdefghijklmnopqrst", "")
  local function some()
    local order, picked = {}, {}
    for _ = 1, math.random(0, #pool) do
      local key = pool[math.random(#pool)]
      if not picked[key] then
        picked[key] = true
        order[#order + 1] = key
      end
    end
    return order
  end
  local shown, keys = some(), some()
  local cursor = math.random(1, math.max(1, #shown))
  local order = arrange(shown, keys, cursor)
  if cursor > 1 then
    expect.equal(vim.list_slice(order, 1, cursor), vim.list_slice(shown, 1, cursor))
    local seen = {}
    for _, key in ipairs(order) do
      expect.yes(not seen[key], key .. " stands twice")
      seen[key] = true
    end
    for _, key in ipairs(shown) do
      expect.yes(seen[key], key .. " was lost")
    end
  end
end
