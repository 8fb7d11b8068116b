--- The tasks of an environment, wherever they are: queued, reserved, scheduled, running, finished.
local format = require("lazycelery.format")
local state = require("lazycelery.state")

local BAR_CELLS = 8

--- What a task says about its own progress.
---@param progress table
---@param context lazycelery.Context
---@return lazycelery.Chunk[]?
local function progress_of(progress, context)
  local current, total = tonumber(progress.current), tonumber(progress.total)
  if not current or not total or total <= 0 then
    return nil
  end
  local percent = ("%.0f %%"):format(100 * current / total)
  if context.calm then
    return { { percent, "LazyCeleryBusy" } }
  end
  return {
    { format.bar(current / total, BAR_CELLS, context.ascii) .. " " .. percent, "LazyCeleryBusy" },
  }
end

--- The one thing worth knowing about a task in this state.
---@param row table
---@param context lazycelery.Context
---@return string|lazycelery.Chunk[]|nil
---@return string? group
local function result(row, context)
  local word = state.word(row)
  if word == "ORPHANED" then
    local since = row.orphaned.since
    return "worker lost" .. (since and (" %s ago"):format(context:age(since)) or ""),
      "LazyCeleryError"
  elseif word == "ENDED" then
    return "no longer running; nothing says how it ended", "LazyCeleryWarn"
  elseif word == "SCHEDULED" and row.eta then
    local left = row.eta - context:now()
    return left > 0 and "in " .. format.duration(left) or "due", "LazyCeleryBusy"
  elseif word == "PENDING" and row.place == "queue" then
    return "queued", "LazyCeleryDim"
  elseif word == "RECEIVED" and row.place == "reserved" then
    return "reserved by the worker", "LazyCeleryDim"
  elseif row.exception then
    return state.exception(row.exception), word == "RETRY" and "LazyCeleryWarn" or "LazyCeleryError"
  elseif row.progress and not row.finished then
    return progress_of(row.progress, context)
  end
  return row.result, "LazyCeleryDim"
end

-- Seconds above which a runtime is worth room that has none to spare.
local OF_NOTE_S = 1

--- The task that was sent in its place, or in whose place it was sent.
---@param row table
---@param context lazycelery.Context
---@return lazycelery.Chunk?
local function link(row, context)
  if row.retried_as then
    local arrow = context:glyph("→ ", "again as ")
    return { arrow .. row.retried_as:sub(1, 8) .. "  ", "LazyCeleryKey" }
  elseif row.retry_of then
    return { "again " .. row.retry_of:sub(1, 8) .. "  ", "LazyCeleryDim" }
  end
end

--- The outcome, and before it how long that takes or took, where no column says so.
---@param row table
---@param context lazycelery.Context
---@return string|lazycelery.Chunk[]|nil
---@return string? group
local function outcome(row, context)
  local said, group = result(row, context)
  local linked = link(row, context)
  local timed = not (context.columns.runtime or row.orphaned or row.ended)
  if not linked and not timed then
    return said, group
  end
  local chunks = type(said) == "table" and said or { { said or "", group } }
  if linked then
    table.insert(chunks, 1, linked)
  end
  if not timed then
    return chunks
  elseif row.place == "active" and row.started then
    local took = format.age(context:lasting(row.started))
    table.insert(chunks, 1, { ("for %s%s"):format(took, said and "  " or ""), "LazyCeleryBusy" })
  elseif (row.runtime or 0) >= OF_NOTE_S then
    table.insert(chunks, 1, { format.duration(row.runtime) .. "  ", "LazyCeleryDim" })
  end
  return chunks
end

---@param number integer
---@return string
local function ordinal(number)
  local tens, ones = number % 100, number % 10
  local suffix = (tens < 11 or tens > 13) and ({ "st", "nd", "rd" })[ones] or "th"
  return number .. suffix
end

--- How long it ran or runs; of one that will be tried again, which attempt comes.
---@param row table
---@param context lazycelery.Context
---@return string?, string?
local function runtime(row, context)
  if row.state == "RETRY" and row.retries then
    local of = row.max_retries and " of " .. row.max_retries + 1 or ""
    return ordinal(row.retries + 1) .. of, "LazyCeleryWarn"
  elseif row.runtime then
    return format.duration(row.runtime)
  elseif row.place == "active" and row.started and not row.orphaned then
    return format.age(context:lasting(row.started)) .. " …", "LazyCeleryBusy"
  end
end

---@param row table
---@return string
local function id(row)
  return row.uuid:sub(1, 8)
end

---@type lazycelery.ViewDef
return {
  name = "tasks",
  title = "Tasks",
  noun = "task",
  layout = "list",
  feed = "task/subscribe",
  filtered = true,
  sort = "-seen",
  columns = {
    {
      field = "state",
      title = "STATE",
      rank = 1,
      min = 11,
      max = 16,
      sort = "state",
      format = state.chunks,
    },
    {
      field = "name",
      title = "NAME",
      rank = 2,
      min = 18,
      max = 48,
      cut = "left",
      hl = "LazyCeleryName",
      sort = "name",
      format = function(row)
        return row.name or "—"
      end,
    },
    { field = "id", title = "ID", rank = 3, min = 8, hl = "LazyCeleryDim", format = id },
    {
      field = "args",
      title = "ARGS",
      rank = 6,
      min = 12,
      max = 28,
      format = function(row)
        local kwargs = row.kwargs and row.kwargs ~= "{}" and " " .. row.kwargs or ""
        return (row.args or "") .. kwargs
      end,
    },
    {
      field = "queue",
      title = "QUEUE",
      rank = 7,
      min = 7,
      max = 16,
      sort = "queue",
      format = function(row)
        return row.queue
      end,
    },
    {
      field = "worker",
      title = "WORKER",
      rank = 8,
      min = 7,
      max = 20,
      sort = "worker",
      format = function(row)
        return state.host(row.worker)
      end,
    },
    {
      field = "when",
      title = "WHEN",
      rank = 4,
      min = 8,
      hl = "LazyCeleryDim",
      sort = "seen",
      descending = true,
      yields_to = "received",
      format = function(row, context)
        return context:clock(row.seen)
      end,
    },
    {
      field = "received",
      title = "RECEIVED",
      rank = 9,
      min = 8,
      hl = "LazyCeleryDim",
      sort = "received",
      descending = true,
      format = function(row, context)
        return context:clock(row.received)
      end,
    },
    {
      field = "runtime",
      title = "RUNTIME",
      rank = 10,
      min = 9,
      align = "right",
      sort = "runtime",
      descending = true,
      format = runtime,
    },
    { field = "result", title = "RESULT", rank = 5, min = 20, flex = true, format = outcome },
  },
  keys = {
    { "r", "retry" },
    { "x", "revoke" },
    { "X", "terminate" },
    { "cc", "change" },
    { "gY", "yank_arguments" },
    { "gX", "export" },
  },
  open = function(row)
    return "task", row.uuid
  end,
  identity = function(row)
    return row.uuid
  end,
  lacks = function(row)
    local why = state.unnamed(row)
    return why and "NAME —", why
  end,
  empty = function(environment)
    if environment and environment.events == "off" then
      return {
        "No task is known, and no worker sends task events.",
        "",
        "ce turns task events on, after asking: tasks show up as they run.",
      }
    end
    return {
      "No task is known yet.",
      "",
      "Tasks show up as they are sent, received and run. Task events are on.",
    }
  end,
}
