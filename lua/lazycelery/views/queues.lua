--- The queues of an environment: what waits, what is out, how fast it goes.
local column = require("lazycelery.column")
local format = require("lazycelery.format")

local figure, member = column.figure, column.member

--- Messages at each priority step that holds any, where they are at more than the lowest.
---@param row table
---@return lazycelery.Chunk[]?
local function priorities(row)
  local steps = {}
  for step, count in pairs(row.priorities or {}) do
    if count > 0 then
      steps[#steps + 1] = tonumber(step)
    end
  end
  table.sort(steps)
  local chunks = {}
  for _, step in ipairs(steps) do
    chunks[#chunks + 1] = { ("%s%d:"):format(#chunks > 0 and "  " or "", step), "LazyCeleryDim" }
    chunks[#chunks + 1] = { format.count(row.priorities[tostring(step)]) }
  end
  return #chunks > 0 and chunks or nil
end

---@param row table
---@return boolean
local function is_stuck(row)
  return row.consumers == 0 and (row.messages or 0) > 0
end

--- When the last message will be gone, if things go on like this.
---@param row table
---@return string?, string?
local function empty_in(row)
  if row.fanout then
    local unreadable = row.unreadable or 0
    return unreadable > 0 and format.count(unreadable) .. " nobody reads" or nil, "LazyCeleryError"
  elseif row.messages == 0 then
    return "empty", "LazyCeleryDim"
  elseif is_stuck(row) then
    return "no consumer", "LazyCeleryError"
  elseif not row.net_rate then
    return nil
  elseif row.net_rate > 0 then
    return "never: growing", "LazyCeleryError"
  elseif row.net_rate == 0 then
    return "steady", "LazyCeleryDim"
  end
  return format.duration(row.messages / -row.net_rate), "LazyCeleryOk"
end

---@param row table
---@param context lazycelery.Context
---@return string?, string?
local function history(row, context)
  local points = row.history
  if not points or #points == 0 then
    return nil
  elseif context.calm then
    return ("%s → %s"):format(format.count(points[1]), format.count(points[#points]))
  end
  local rising = points[#points] > points[1]
  return format.spark(points, context.ascii), rising and "LazyCeleryWarn" or "LazyCeleryOk"
end

---@param row table
---@return string? group
local function stuck(row)
  return is_stuck(row) and "LazyCeleryError" or nil
end

---@type lazycelery.ViewDef
return {
  name = "queues",
  title = "Queues",
  noun = "queue",
  layout = "list",
  feed = "queue/subscribe",
  filtered = true,
  sort = "name",
  columns = {
    {
      field = "queue",
      title = "QUEUE",
      rank = 1,
      min = 16,
      max = 40,
      hl = "LazyCeleryName",
      sort = "name",
      format = function(row)
        return row.name
      end,
    },
    {
      field = "ready",
      title = "READY",
      rank = 2,
      min = 9,
      align = "right",
      sort = "messages",
      descending = true,
      format = function(row)
        if row.fanout then
          return "fanout", "LazyCeleryDim"
        end
        return row.messages and format.count(row.messages), stuck(row)
      end,
    },
    {
      field = "priorities",
      title = "BY PRIORITY",
      rank = 6,
      min = 20,
      max = 40,
      format = priorities,
    },
    figure({
      field = "unacked",
      title = "UNACKED",
      rank = 3,
      min = 7,
      sort = "unacked",
      descending = true,
    }, member("unacked"), format.count),
    figure({
      field = "consumers",
      title = "CONSUMERS",
      rank = 4,
      min = 9,
      sort = "consumers",
    }, member("consumers"), format.count, stuck),
    figure({
      field = "incoming",
      title = "IN/s",
      rank = 7,
      min = 7,
      sort = "incoming_rate",
      descending = true,
    }, member("incoming_rate"), format.rate),
    figure({
      field = "outgoing",
      title = "OUT/s",
      rank = 8,
      min = 7,
      sort = "outgoing_rate",
      descending = true,
    }, member("outgoing_rate"), format.rate),
    { field = "history", title = "LAST 15 min", rank = 9, min = 15, format = history },
    {
      field = "oldest",
      title = "OLDEST",
      rank = 10,
      min = 6,
      align = "right",
      sort = "oldest",
      format = function(row, context)
        return row.oldest and format.age(context:lasting(row.oldest)), "LazyCeleryDim"
      end,
    },
    { field = "empty_in", title = "EMPTY IN", rank = 5, min = 14, flex = true, format = empty_in },
  },
  keys = { { "X", "purge" }, { "cm", "move" } },
  open = function(row)
    return "messages", row.name
  end,
  identity = function(row)
    return row.name
  end,
  empty = function()
    return {
      "No queue is known.",
      "",
      "A queue shows up when a worker consumes it or a message waits in it.",
    }
  end,
}
