--- What happened to a task, one event a line, with a staircase as long as each step took. Pure.
local format = require("lazycelery.format")

local M = {}

local CELLS = 28

--- Between an event and the next: what the task was doing.
local steps = {
  ["task-sent"] = "on the wire",
  ["task-received"] = "waiting",
  ["task-started"] = "running",
  ["task-retried"] = "until the retry",
}

local groups = {
  ["task-failed"] = "LazyCeleryError",
  ["task-succeeded"] = "LazyCeleryOk",
  ["task-retried"] = "LazyCeleryWarn",
  ["task-revoked"] = "LazyCeleryWarn",
  ["task-rejected"] = "LazyCeleryWarn",
}

local glyphs =
  { first = "├", rail = "│", corner = "└", run = "─", down = "┐", last = "┴" }
local letters = { first = "|", rail = "|", corner = "+", run = "-", down = "+", last = "+" }

--- Where each event stands in the staircase: at least one cell after the one before it.
---@param history { at: number }[]
---@return integer[]
local function places(history)
  local total = history[#history].at - history[1].at
  local x, found = 0, {}
  for i, event in ipairs(history) do
    if i > 1 then
      local share = total > 0 and (event.at - history[i - 1].at) / total or 0
      x = x + math.max(1, math.floor(share * CELLS + 0.5))
    end
    found[i] = x
  end
  return found
end

---@param x integer[]
---@param i integer
---@param g table<string, string>
---@return string
local function stair(x, i, g)
  if i == 1 and #x == 1 then
    return g.last
  elseif i == 1 then
    return g.first .. g.run:rep(x[2] - 1) .. g.down
  end
  local before = g.rail .. (" "):rep(x[i] - 1)
  if i == #x then
    return before .. g.last
  end
  return before .. g.corner .. g.run:rep(x[i + 1] - x[i] - 1) .. g.down
end

--- The longest step, which is where the time went.
---@param history { at: number }[]
---@return integer?
local function longest(history)
  local index, most = nil, 0 ---@type integer?, number
  for i = 1, #history - 1 do
    local took = history[i + 1].at - history[i].at
    if took > most then
      index, most = i, took
    end
  end
  return index
end

--- Lines of chunks for a page. Worker clocks differ: a step that ends before it began says so.
---@param history { type: string, at: number, worker: string? }[] oldest first
---@param outcome string? what the last event brought
---@param ascii boolean
---@return lazycelery.Chunk[][]
function M.lines(history, outcome, ascii)
  if #history == 0 then
    return {}
  end
  local x, slow, g = places(history), longest(history), ascii and letters or glyphs
  local lines = {}
  for i, event in ipairs(history) do
    local next_one = history[i + 1]
    local took = next_one and next_one.at - event.at
    local group = i == slow and "LazyCeleryWarn" or nil
    local note
    if took and took < 0 then
      note = { ("%s earlier: the clocks differ"):format(format.duration(-took)), "LazyCeleryDim" }
    elseif took then
      note = { format.duration(took) .. " " .. (steps[event.type] or ""), group }
    else
      note = { outcome or "", groups[event.type] }
    end
    lines[i] = {
      {
        os.date("%H:%M:%S", math.floor(event.at)) .. (".%03d"):format(event.at * 1000 % 1000),
        "LazyCeleryDim",
      },
      { ("  %-10s"):format((event.type:gsub("^task%-", ""))), groups[event.type] },
      { stair(x, i, g), group or "LazyCeleryDim" },
      { " " },
      note,
    }
  end
  return lines
end

return M
