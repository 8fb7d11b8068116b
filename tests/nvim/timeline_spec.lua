-- The staircase of a task's events.
local expect = require("expect")
local timeline = require("lazycelery.timeline")

---@param history table[]
---@param ascii boolean
---@return string
local function drawn(history, ascii)
  local lines = {}
  for i, chunks in ipairs(timeline.lines(history, "CardDeclined", ascii)) do
    lines[i] = table.concat(vim.tbl_map(function(chunk)
      return chunk[1]
    end, chunks))
  end
  return table.concat(lines, "\n")
end

local at = 1795521870.950
local history = {
  { type = "task-sent", at = at },
  { type = "task-received", at = at + 0.05 },
  { type = "task-started", at = at + 1.25 },
  { type = "task-failed", at = at + 1.37 },
}
expect.equal(
  drawn(history, false),
  [[
12:04:30.950  sent      ├┐ 50 ms on the wire
12:04:31.000  received  │└────────────────────────┐ 1.2 s waiting
12:04:32.200  started   │                         └─┐ 120 ms running
12:04:32.320  failed    │                           ┴ CardDeclined]]
)
expect.equal(drawn({ history[2] }, false), "12:04:31.000  received  ┴ CardDeclined")
expect.equal(drawn({}, false), "")
expect.yes(not drawn(history, true):find("[\128-\255]"), "letters only")
-- The clocks of worker and sender differ: it says so, and draws no step back.
expect.yes(
  drawn({ history[2], history[1] }, false):find("50 ms earlier: the clocks differ", 1, true)
)
