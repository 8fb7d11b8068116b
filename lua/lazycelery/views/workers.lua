--- The workers of an environment.
local column = require("lazycelery.column")
local format = require("lazycelery.format")

local figure, member = column.figure, column.member

local states = {
  online = { "●", "up", "LazyCeleryOk" },
  silent = { "◐", "..", "LazyCeleryWarn" },
  lost = { "○", "!!", "LazyCeleryError" },
  offline = { "○", "--", "LazyCeleryDim" },
  unknown = { "?", "??", "LazyCeleryDim" },
}

---@param row table
---@return boolean
local function is_gone(row)
  return row.status == "lost" or row.status == "offline"
end

---@param row table
---@param context lazycelery.Context
---@return lazycelery.Chunk[]
local function worker(row, context)
  local state = states[row.status] or states.unknown
  local alive = row.ignores and "LazyCeleryWarn" or state[3]
  return {
    { context:glyph(state[1], state[2]) .. " ", alive },
    { row.hostname, is_gone(row) and "LazyCeleryDim" or "LazyCeleryName" },
  }
end

--- How many tasks run, and how full the pool is.
---@param row table
---@param context lazycelery.Context
---@return lazycelery.Chunk[]?
local function active(row, context)
  if not row.active then
    return nil
  end
  local chunks = { { ("%3d"):format(row.active), row.active == 0 and "LazyCeleryDim" or nil } }
  local slots = row.concurrency
  if slots and slots > 0 and row.active > 0 and not context.calm then
    local share = row.active / slots
    local group = share >= 1 and "LazyCeleryWarn" or "LazyCeleryBusy"
    table.insert(chunks, { " " .. format.bar(share, 4, context.ascii), group })
  end
  return chunks
end

---@param row table
---@return string?, string?
local function failed(row)
  local counters = row.counters
  local ended = counters and (counters["task-succeeded"] or 0) + (counters["task-failed"] or 0)
  if not ended or ended == 0 then
    return nil
  end
  local share = (counters["task-failed"] or 0) / ended
  return format.percent(share),
    share >= 0.05 and "LazyCeleryError" or share > 0 and "LazyCeleryWarn" or "LazyCeleryDim"
end

--- The gaps between the last heartbeats, and the age of the newest.
---@param row table
---@param context lazycelery.Context
---@return lazycelery.Chunk[]
local function beat(row, context)
  local beats = row.heartbeats or {}
  local last = beats[#beats] or row.seen
  if is_gone(row) or not last then
    local since = last and row.status == "lost" and (" %s ago"):format(context:age(last)) or ""
    return { { row.status .. since, is_gone(row) and states[row.status][3] or "LazyCeleryDim" } }
  end
  local age = context:age(last)
  local group = row.status == "silent" and "LazyCeleryWarn" or "LazyCeleryDim"
  if context.calm or #beats < 3 then
    return { { age .. " ago", group } }
  end
  local gaps = {}
  for i = math.max(2, #beats - 7), #beats do
    gaps[#gaps + 1] = beats[i] - beats[i - 1]
  end
  -- Full height is three beats missed: regular ones are a flat line.
  local spark = format.spark(gaps, context.ascii, 4 * (row.freq or 2))
  return { { spark .. " ", "LazyCeleryDim" }, { age, group } }
end

---@param row table
---@return string?, string?
local function load(row)
  if not row.loadavg or is_gone(row) then
    return nil
  end
  return ("%.2f %.2f %.2f"):format(unpack(row.loadavg)), "LazyCeleryDim"
end

---@type lazycelery.ViewDef
return {
  name = "workers",
  title = "Workers",
  noun = "worker",
  layout = "list",
  feed = "worker/subscribe",
  filtered = true,
  sort = "hostname",
  columns = {
    {
      field = "worker",
      title = "  WORKER",
      rank = 1,
      min = 18,
      max = 40,
      sort = "hostname",
      format = worker,
    },
    {
      field = "pool",
      title = "POOL",
      rank = 7,
      min = 9,
      max = 14,
      format = function(row)
        return row.pool and row.pool .. (row.concurrency and " " .. row.concurrency or "")
      end,
    },
    {
      field = "active",
      title = "ACTIVE",
      rank = 2,
      min = 8,
      sort = "active",
      descending = true,
      format = active,
    },
    figure({
      field = "started",
      title = "STARTED",
      rank = 8,
      min = 9,
      sort = "processed",
      descending = true,
    }, member("processed"), format.count),
    { field = "failed", title = "FAILED", rank = 3, min = 6, align = "right", format = failed },
    figure({
      field = "runtime",
      title = "RUNTIME",
      rank = 6,
      min = 7,
      max = 9,
      sort = "runtime",
      descending = true,
    }, member("runtime"), format.duration),
    { field = "load", title = "LOAD 1/5/15", rank = 9, min = 14, format = load },
    {
      field = "cpu",
      title = "CPU",
      rank = 10,
      min = 5,
      align = "right",
      format = function(row)
        return row.cpu and ("%.0f %%"):format(row.cpu * 100)
      end,
    },
    figure({
      field = "memory",
      title = "MEM",
      rank = 11,
      min = 5,
    }, member("memory"), format.bytes),
    {
      field = "up",
      title = "UP",
      rank = 12,
      min = 6,
      format = function(row, context)
        if row.started and not is_gone(row) then
          return format.uptime(context:lasting(row.started)), "LazyCeleryDim"
        end
      end,
    },
    { field = "beat", title = "BEAT", rank = 4, min = 14, format = beat },
    {
      field = "events",
      title = "EVENTS",
      rank = 13,
      min = 6,
      format = function(row)
        return row.events, row.events == "off" and "LazyCeleryWarn" or "LazyCeleryDim"
      end,
    },
    {
      field = "queues",
      title = "QUEUES",
      rank = 5,
      min = 12,
      flex = true,
      format = function(row)
        local ignored = (row.ignores or {})[1]
        if ignored then
          return "takes nothing from " .. ignored.queue, "LazyCeleryWarn"
        end
        return row.queues and table.concat(row.queues, " ")
      end,
    },
  },
  keys = {},
  open = function(row)
    return "worker", row.hostname
  end,
  identity = function(row)
    return row.hostname
  end,
  empty = function(environment)
    return {
      "No worker answers, and none sends heartbeats.",
      "",
      environment and environment.url and ("Looked at %s."):format(environment.url) or "",
      "A worker that starts shows up by itself:  celery -A proj worker -E",
    }
  end,
}
