--- Every environment that is configured: which are connected, what goes on in each. Looking connects
--- none.
local column = require("lazycelery.column")
local environment = require("lazycelery.environment")
local format = require("lazycelery.format")

local states = {
  connected = { "●", "up", "LazyCeleryOk" },
  connecting = { "○", "..", "LazyCeleryDim" },
  disconnected = { "○", "!!", "LazyCeleryError" },
  idle = { "·", "--", "LazyCeleryDim" },
  silent = { "◐", "..", "LazyCeleryWarn" },
}

---@param row lazycelery.EnvironmentRow
---@param context lazycelery.Context
---@return lazycelery.Chunk[]
local function name(row, context)
  local silent = row.status == "connected" and row.events == "off"
  local state = silent and states.silent or states[row.status] or states.idle
  local group = row.production and "LazyCeleryProduction" or "LazyCeleryName"
  return { { context:glyph(state[1], state[2]) .. " ", state[3] }, { row.name, group } }
end

---@param row lazycelery.EnvironmentRow
---@param context lazycelery.Context
---@return string
---@return string? group
local function status(row, context)
  if row.status == "disconnected" then
    local retry = environment.retry_in(row.name)
    context:now()
    return retry and ("retry in %d s"):format(math.ceil(retry)) or "not connected",
      "LazyCeleryError"
  elseif row.status == "idle" then
    return "not in use", "LazyCeleryDim"
  end
  return row.status, states[row.status][3]
end

local events = {
  flowing = { "flowing", "LazyCeleryDim" },
  silent = { "none lately", "LazyCeleryDim" },
  off = { "off", "LazyCeleryWarn" },
}

--- Nobody tells any more what happens there.
---@param row lazycelery.EnvironmentRow
---@return boolean
local function is_past(row)
  return environment.is_past(row.name)
end

---@param row lazycelery.EnvironmentRow
---@return string?
local function how_told(row)
  return is_past(row) and "LazyCeleryDim" or nil
end

---@param spec table a column whose field is one of `counts`
---@return lazycelery.Column
local function count(spec)
  return column.figure(spec, function(row)
    return row.counts and row.counts[spec.field]
  end, format.count, how_told)
end

--- Why it is not connected, else where it is.
---@param row lazycelery.EnvironmentRow
---@return string?
---@return string? group
local function where(row)
  if row.status == "disconnected" and row.error then
    return row.error, "LazyCeleryError"
  end
  return row.url or row.transport, "LazyCeleryDim"
end

---@param row lazycelery.EnvironmentRow
---@return string?
---@return string? group
local function guard(row)
  if row.production then
    return "production", "LazyCeleryProduction"
  end
  return row.read_only and "read-only" or nil, "LazyCeleryDim"
end

---@type lazycelery.ViewDef
return {
  name = "environments",
  title = "Environments",
  noun = "environment",
  layout = "list",
  global = true,
  feed = "environment/subscribe",
  filtered = true,
  sort = "name",
  columns = {
    {
      field = "environment",
      title = "  ENVIRONMENT",
      sort = "name",
      rank = 1,
      min = 15,
      max = 30,
      format = name,
    },
    { field = "status", title = "STATUS", sort = "status", rank = 2, min = 13, format = status },
    count({ field = "workers", title = "WORKERS", sort = "workers", rank = 4, min = 7 }),
    count({ field = "active", title = "ACTIVE", sort = "active", rank = 5, min = 6 }),
    count({ field = "queued", title = "QUEUED", sort = "queued", rank = 7, min = 7 }),
    count({ field = "tasks", title = "TASKS", sort = "tasks", rank = 8, min = 9 }),
    column.figure(
      { field = "received", title = "IN/s", sort = "received", rank = 9, min = 7 },
      function(row)
        return row.rates and not is_past(row) and row.rates.received or nil
      end,
      format.rate
    ),
    {
      field = "events",
      title = "TASK EVENTS",
      sort = "events",
      rank = 10,
      min = 11,
      format = function(row)
        local found = not is_past(row) and events[row.events]
        if found then
          return found[1], found[2]
        end
      end,
    },
    { field = "guard", title = "GUARD", rank = 3, min = 10, format = guard },
    {
      field = "url",
      title = "BROKER",
      sort = "url",
      rank = 6,
      min = 16,
      flex = true,
      format = where,
    },
    {
      field = "from",
      title = "FROM",
      sort = "url_from",
      rank = 11,
      min = 20,
      hl = "LazyCeleryDim",
      format = function(row)
        return row.url_from
      end,
    },
  },
  keys = {},
  open = function(row)
    return "workers", nil, row.name
  end,
  identity = function(row)
    return row.name
  end,
  empty = function()
    return {
      "No environment is known.",
      "",
      "Set CELERY_BROKER_URL, or write a configuration:  :help lazycelery-first",
    }
  end,
}
