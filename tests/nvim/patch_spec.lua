-- A buffer shows new lines; only what changed is touched.
local expect = require("expect")
local patch = require("lazycelery.patch")

local buf = vim.api.nvim_create_buf(false, true)

---@return string[]
local function lines()
  return vim.api.nvim_buf_get_lines(buf, 0, -1, false)
end

-- Over random edits it equals a fresh render.
math.randomseed(11)
local old = { "" }
for round = 1, 3000 do
  local new = vim.list_extend({}, old)
  for _ = 1, math.random(1, 6) do
    local kind, at = math.random(3), math.random(#new + 1)
    if kind == 1 then
      table.insert(new, at, "line " .. math.random(40))
    elseif kind == 2 and #new > 1 then
      table.remove(new, math.min(at, #new))
    elseif new[at] then
      new[at] = "line " .. math.random(40)
    end
  end
  patch.apply(buf, old, new)
  expect.equal(lines(), new, "round " .. round)
  old = new
end

-- One cell of 5,000 rows is one line; a row more on top is one line; nothing is nothing.
local many = {}
for i = 1, 5000 do
  many[i] = ("%05d shop.tasks.charge"):format(i)
end
patch.apply(buf, old, many)
local changed = vim.list_extend({}, many)
changed[2500] = "changed"
expect.equal(patch.apply(buf, many, changed), 1)
table.insert(changed, 1, "new")
local above = vim.list_extend({}, changed)
above[4000] = "changed as well"
table.remove(above)
expect.equal(
  patch.apply(buf, vim.list_slice(changed, 2), above),
  3,
  "in at the top, out at the end, one between"
)
expect.equal(patch.apply(buf, above, above), 0)
expect.equal(lines(), above)

---@param before string[]
---@param after string[]
---@return integer[][]
local function moves(before, after)
  local at = {}
  for line, id in ipairs(before) do
    at[id] = line
  end
  return patch.moves(before, after, at)
end

-- Ids that stand once: whatever order becomes whatever other, what may stay stays.
local ids = {}
for i = 1, 60 do
  ids[i] = "id" .. i
end
for round = 1, 2000 do
  local before, after = {}, {}
  for _, list in ipairs({ before, after }) do
    local left = vim.list_slice(ids)
    for _ = 1, math.random(0, 60) do
      list[#list + 1] = table.remove(left, round % 2 == 0 and math.random(#left) or 1)
    end
  end
  if round % 3 == 0 then
    after = vim.list_slice(before)
    table.insert(after, math.random(#after + 1), "new")
  end
  local made = vim.list_slice(before)
  local found = moves(before, after)
  for i = #found, 1, -1 do
    local from, gone, start, come = unpack(found[i])
    for _ = 1, gone do
      table.remove(made, from)
    end
    for at = start + come - 1, start, -1 do
      table.insert(made, from, after[at])
    end
  end
  expect.equal(made, after, "round " .. round)
end
expect.equal(moves({ "a", "b", "c", "d" }, { "n", "a", "c", "b" }), {
  { 1, 0, 1, 1 },
  { 2, 0, 3, 1 },
  { 3, 2, 5, 0 },
}, "a and b stay")

-- What comes to the top of many is taken from its place, and nothing else is touched.
local turned, to_top, top, rest = {}, {}, {}, {}
for i, line in ipairs(many) do
  turned[#many + 1 - i] = line
  table.insert(i * 7919 % 50 == 0 and top or rest, line)
end
for i = #top, 1, -1 do
  to_top[#to_top + 1] = top[i]
end
vim.list_extend(to_top, rest)
local gone, come = 0, 0
for _, hunk in ipairs(moves(many, to_top)) do
  gone, come = gone + hunk[2], come + hunk[4]
end
expect.equal({ gone, come }, { #top, #top })
expect.equal(moves(many, turned), { { 1, #many, 1, #many } }, "all, where all moved")

-- A list that follows: all moves down, what falls out at the end goes.
local followed = vim.list_extend({ "new 1", "new 2" }, vim.list_slice(above, 1, #above - 2))
expect.equal(patch.apply(buf, above, followed), 4)
expect.equal(lines(), followed)
above = followed

-- Marks of lines that did not change stay with them.
local namespace = vim.api.nvim_create_namespace("test")
local mark = vim.api.nvim_buf_set_extmark(buf, namespace, 99, 0, {})
patch.apply(buf, above, vim.list_extend({ "one", "two" }, above))
expect.equal(vim.api.nvim_buf_get_extmark_by_id(buf, namespace, mark, {})[1], 101)
