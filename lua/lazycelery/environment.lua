--- What is known of every environment: its connection, events, counts, rates. One feed for all.
local client = require("lazycelery.client")
local config = require("lazycelery.config")
local tell = require("lazycelery.tell")

local M = {}

local known = {
  rows = {}, ---@type table<string, lazycelery.EnvironmentRow>
  order = {}, ---@type string[]
  heard = {}, ---@type table<string, number> our clock when the row came, for countdowns
  lost = {}, ---@type table<string, number> our clock when the connection went
  told = {}, ---@type table<string, boolean> what was said of its connection last
  feed = nil, ---@type lazycelery.Feed?
  listeners = {}, ---@type fun(name: string, before: lazycelery.EnvironmentRow?)[]
}

--- Our clock, Unix seconds.
---@return number
local function wall()
  local seconds, micros = vim.uv.gettimeofday()
  return seconds + micros / 1e6
end

--- The clock of an environment: ours, but for a replay, which brings its own.
---@param row lazycelery.EnvironmentRow?
---@return number
local function clock(row)
  return row and row.now and row.now > 0 and row.now or wall()
end

--- Tells whoever listens that an environment is connected now, or no more.
---@param name string
---@param connected boolean
local function announce(name, connected)
  if (known.told[name] or false) == connected then
    return
  end
  known.told[name] = connected
  local event = connected and "LazyCeleryConnected" or "LazyCeleryDisconnected"
  local ok, err = pcall(vim.api.nvim_exec_autocmds, "User", {
    pattern = event,
    modeline = false,
    data = { environment = name },
  })
  if not ok then
    tell.of(("an autocommand of %s: %s"):format(event, err), vim.log.levels.WARN)
  end
end

---@param row lazycelery.EnvironmentRow
---@param before lazycelery.EnvironmentRow?
local function note_loss(row, before)
  if row.status == "connected" then
    known.lost[row.name] = nil
  elseif before and before.status == "connected" then
    known.lost[row.name] = clock(row)
  end
end

---@param event lazycelery.FeedEvent
local function heard(event)
  if event.lost then
    for name in pairs(known.told) do
      announce(name, false)
    end
  end
  if not event.result then
    return
  end
  local changed = {} ---@type { [1]: lazycelery.EnvironmentRow, [2]: lazycelery.EnvironmentRow? }[]
  for i, row in ipairs(event.result.rows or {}) do
    changed[i] = { row, known.rows[row.name] }
    known.rows[row.name] = row
    known.heard[row.name] = clock(row)
  end
  known.order = event.result.keys or known.order
  for _, pair in ipairs(changed) do
    local row, before = pair[1], pair[2]
    note_loss(row, before)
    announce(row.name, row.status == "connected")
    for _, listener in ipairs(known.listeners) do
      listener(row.name, before)
    end
  end
end

client.on_phase(function(phase)
  for name, row in pairs(phase ~= "ready" and known.rows or {}) do
    if row.status == "connected" then
      known.lost[name] = known.lost[name] or clock(row)
    end
  end
end)

--- Follows all environments, from the first view on.
function M.watch()
  if not known.feed then
    known.feed = client.subscribe("environment/subscribe", {}, heard)
  end
end

--- Calls `listener(name, before)` on every change.
---@param listener fun(name: string, before: lazycelery.EnvironmentRow?)
function M.on_change(listener)
  table.insert(known.listeners, listener)
end

---@param name string
---@return lazycelery.EnvironmentRow?
function M.get(name)
  return known.rows[name]
end

---@return string[] names in the server's order
function M.names()
  local names = {}
  for _, key in ipairs(known.order) do
    if known.rows[key] then
      names[#names + 1] = key
    end
  end
  return names
end

--- The environment's own time.
---@param name string
---@return number
function M.now(name)
  return clock(known.rows[name])
end

--- How far what is known reaches: until now, or, where the connection is lost, until that moment.
---@param name string
---@return number
function M.known(name)
  return known.lost[name] or clock(known.rows[name])
end

--- Whether what is known of an environment is of the past: nobody tells what happens there.
---@param name string
---@return boolean
function M.is_past(name)
  local row = known.rows[name]
  return client.phase() ~= "ready"
    or known.lost[name] ~= nil
    or (row ~= nil and row.status ~= "connected" and row.status ~= "idle")
end

--- Seconds until the next attempt to connect, counted down from what the server said.
---@param name string
---@return number?
function M.retry_in(name)
  local row = known.rows[name]
  if not row or not row.retry_in then
    return nil
  end
  return math.max(0, row.retry_in - (clock(row) - known.heard[name]))
end

--- Seconds since the connection was lost: how old what is shown is.
---@param name string
---@return number?
function M.lost_for(name)
  return known.lost[name] and clock(known.rows[name]) - known.lost[name]
end

--- The environment to open where none is named.
---@param info table what initialize answered
---@return string?
function M.default(info)
  if config.options.environment then
    return config.options.environment
  end
  local first
  for _, environment in ipairs(info.environments or {}) do
    local name = type(environment) == "table" and environment.name or environment
    if type(environment) == "table" and environment.default then
      return name
    end
    first = first or name
  end
  return info.default or first
end

--- Says that there is none: the server knows where it looked.
local function tell_none()
  client.request("environment/check", {}, function(none)
    if none then
      tell.of(none.message, vim.log.levels.ERROR)
    end
  end)
end

--- Asks which environments there are, and how they are guarded: for who acts where no view was opened.
---@param action fun(names: string[]) where there is one at least
function M.meet(action)
  M.watch()
  client.request("environment/list", {}, function(err, result)
    if err then
      return tell.of(err.message, vim.log.levels.ERROR)
    end
    local names = vim.tbl_map(function(row)
      return row.name
    end, result.rows)
    heard({ result = { rows = result.rows, keys = names } })
    if #names == 0 then
      return tell_none()
    end
    action(names)
  end)
end

--- Calls `action` with the environment to use: the one that is wanted, that of the options, or the
--- server's, once it has answered.
---@param wanted? string
---@param action fun(name: string)
function M.resolve(wanted, action)
  wanted = wanted or config.options.environment
  if wanted then
    return action(wanted)
  end
  M.meet(function(names)
    action(M.default(client.info() or {}) or names[1])
  end)
end

return M
