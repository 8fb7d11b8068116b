-- The page of a task: what it waits for, and what else there is of its id.
local detail = require("lazycelery.detail")
local expect = require("expect")
local view = require("lazycelery.views.task")

local NOW = 1000000

local context = {
  ascii = false,
  now = function()
    return NOW
  end,
  clock = function()
    return "12:00:00"
  end,
  age = function()
    return "5s"
  end,
  glyph = function(_, glyph)
    return glyph
  end,
}

---@param row table
---@return string[] lines of the page
local function page(row)
  row = vim.tbl_extend("keep", row, { uuid = "5f2c9e10-0000", name = "shop.charge" })
  local drawn = detail.page(80)
  view.compose(drawn, row, context)
  return drawn:picture().lines
end

---@param row table
---@param line string
local function expect_line(row, line)
  local lines = page(row)
  expect.equal(vim.list_contains(lines, line), true, table.concat(lines, "\n"))
end

---@param row table
---@param text string
local function expect_none(row, text)
  expect.equal(table.concat(page(row), "\n"):find(text, 1, true), nil)
end

local queued = { state = "PENDING", place = "queue", queue = "high" }
local function with(more)
  return vim.tbl_extend("force", queued, more)
end
expect_line(with({ consumers = 0 }), " No worker reads high: it waits until one does.")
expect_line(with({ consumers = 1 }), " Waits for a worker: 1 worker reads high.")
expect_line(with({ consumers = 12 }), " Waits for a worker: 12 workers read high.")
expect_none(queued, "reads high")

local held = { state = "RECEIVED", place = "reserved", worker = "w1@lab" }
expect_line(held, " w1@lab holds it until it has a place free.")
held.orphaned = { worker = "w1@lab" }
expect_none(held, "holds it")

local scheduled = { state = "RECEIVED", place = "scheduled", eta = NOW + 252 }
expect_line(scheduled, " Runs in 4m12s.")
scheduled.eta = NOW - 1
expect_line(scheduled, " Due: its worker runs it when it has a place free.")

-- A message besides the task that the row is about.
local also = { { place = "queue", queue = "high" } }
expect_line(
  { state = "REVOKED", place = "done", also = also },
  " Its message still waits in high: a worker that was told drops it."
)
expect_line(
  { state = "STARTED", place = "active", also = also },
  " A message of this id waits in high as well: it would run, too."
)

-- A task that was retried calls itself its parent.
expect_none(
  { state = "SUCCESS", parent_id = "5f2c9e10-0000", root_id = "5f2c9e10-0000" },
  "Workflow"
)
expect_line({ state = "SUCCESS", parent_id = "77aa01bc" }, "   parent        77aa01bc")

-- What a section says of its values.
---@param row table
---@param title string
---@return string note of the section
local function note(row, title)
  for _, line in ipairs(page(row)) do
    local found = line:match("^▾ " .. title .. " +(.+)$")
    if found then
      return found
    end
  end
  return ""
end
local progress = { state = "PROGRESS", result_json = "{}", sources = { result_json = "backend" } }
expect.equal(note(progress, "Result"), "exact, from the result backend")
expect.equal(note({ result = "3", sources = { result = "event" } }, "Result"), "from the events")
expect.equal(
  note({ args_json = "[]", sources = { args_json = "unacked" } }, "Arguments"),
  "exact, from its message, read while a worker held it"
)
expect.equal(note({}, "Arguments"), "")

-- Of a task that is known by what it stored, some attempts may not have been seen.
local function tried(...)
  return {
    state = "FAILURE",
    history = { { type = "task-failed", at = NOW, seen = NOW, source = "backend" } },
    attempts = { { state = "RETRY", retries = 0 }, ... },
  }
end
local all = table.concat(page(tried({ state = "FAILURE", retries = 1 })), "\n")
expect.equal(all:find("2 attempts seen", 1, true), nil, all)
expect.yes(all:find("2 attempts", 1, true), all)
expect.yes(all:find("\n    2  ✗ FAILURE", 1, true), all)
local some = table.concat(page(tried({ state = "FAILURE" })), "\n")
expect.yes(some:find("2 attempts seen", 1, true), some)
expect.yes(some:find("\n    —  ✗ FAILURE", 1, true), some)
