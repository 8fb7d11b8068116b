-- What became of each message, by what the server answers.
local expect = require("expect")
local fate = require("lazycelery.act.messages.fate")
local ids = require("lazycelery.act.messages.ids")
local words = require("lazycelery.act.messages.words")

---@param rows table[]
---@return lazycelery.Message[]
local function messages(rows)
  return vim.tbl_map(function(row)
    return ids.of("prod", "celery", row)
  end, rows)
end

---@param step table
---@param answer table
---@return string
local function fates(step, answer)
  local words_of = vim.tbl_map(function(one)
    return one.what .. (one.reason and ": " .. one.reason or "")
  end, fate.of(step, answer))
  return table.concat(words_of, ", ")
end

local four = messages({
  { key = "a", delivery_tag = "a", uuid = "1" },
  { key = "b", delivery_tag = "b", uuid = "2" },
  { key = "c", delivery_tag = "c", uuid = "3" },
  { key = "bytes#2" },
})
local step = { kind = "delete", queue = "celery", messages = four }

expect.equal(
  fates(step, { done = { "3", "1", "bytes", "2" }, missed = {} }),
  "done, done, done, done"
)
expect.equal(
  fates(step, {
    done = { "1" },
    missed = { { key = "bytes#2", reason = "not in the queue" } },
    refused = { { uuid = "3", kind = "blocking", reason = "long" } },
    cancelled = true,
  }),
  "done, left, refused: long, taken: not in the queue"
)

-- Two of one uuid, one of which is gone: which, its key tells.
local twice = messages({
  { key = "x", delivery_tag = "x", uuid = "9" },
  { key = "y", delivery_tag = "y", uuid = "9" },
})
step = { kind = "delete", queue = "celery", messages = twice }
local answer = { done = { "9" }, missed = { { key = "x", reason = "taken" } } }
expect.equal(fates(step, answer), "taken: taken, done")

-- A copy that a worker was faster with goes by its uuid.
answer = { done = { "9" }, missed = { { key = "9", reason = "taken" } } }
expect.equal(fates(step, answer), "done, taken: taken")

-- Put back: what is skipped, by the name in the file; stopped half-way, nobody says which.
for _, message in ipairs(four) do
  ids.took(message, "/file")
end
step = { kind = "restore", queue = "celery", messages = four }
answer =
  { restored = 3, skipped = { { uuid = "2", key = "b", reason = "it was put back already" } } }
expect.equal(fates(step, answer), "done, taken: it was put back already, done, done")
answer = { restored = 0, skipped = {}, cancelled = true }
expect.equal(fates(step, answer), "left, left, left, left")
answer = { restored = 2, skipped = {}, cancelled = true }
expect.equal(fates(step, answer), "unknown, unknown, unknown, unknown")

-- Said as it was.
local move = { kind = "move", queue = "celery", to = "high", messages = {} }
local told, all = words.outcome({
  { message = four[1], step = move, what = "done" },
  { message = four[2], step = move, what = "taken", reason = "not in the queue" },
  { message = four[3], step = move, what = "left" },
})
expect.equal(all, false)
expect.equal(
  told,
  "Moved 1 from celery to high; 1 was missed: not in the queue; 1 was not reached; :w goes on"
)
