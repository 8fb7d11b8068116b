--- A server in the place of the real one, inside this Neovim: what it is asked is noted, what it
--- says is said by the test. For what a real server does only by accident: silence, nonsense, death.
local M = {
  calls = {}, ---@type { method: string, params: table, id: integer }[]
  answers = {}, ---@type table<string, any> method → result, or function(params) → result, err
  silent = {}, ---@type table<string, boolean> methods that are never answered
  held = {}, ---@type table<string, fun()[]> methods whose answers wait for `release`
  subscriptions = {}, ---@type table<integer, { method: string, params: table }>
  methods = {}, ---@type string[] what it says it can be asked
  said = {}, ---@type { method: string, params: table?, result: any }[] answers and notifications
  starts = 0,
  feeds = 0, -- ever subscribed to, environments apart
}

local next_subscription = 0
local dispatchers

M.environment = {
  key = "prod",
  name = "prod",
  transport = "redis",
  url = "redis://:***@localhost:6379/0",
  status = "connected",
  events = "flowing",
  url_from = "CELERY_BROKER_URL",
  counts = {
    workers = 3,
    tasks = 48210,
    queues = 5,
    active = 12,
    queued = 1204,
    dropped = 0,
    undecodable = 0,
  },
  rates = { received = 82, succeeded = 81.4, failed = 0.6 },
  missed = {},
  production = false,
  read_only = false,
  now = 1795521880, -- 2026-11-24 12:04:40 UTC
}

M.answers.initialize = function()
  return {
    serverInfo = { name = "lazycelery", version = "0.0.0" },
    protocol = 1,
    capabilities = { methods = M.methods },
    environments = { M.environment },
    default = "prod",
  }
end
M.answers["environment/list"] = function()
  return { rows = { M.environment }, total = 1, exact = true }
end
M.answers["subscription/update"] = function(params)
  local found = M.subscriptions[params.subscription]
  for name, value in pairs(params) do
    found.params[name] = value
  end
  return { subscription = params.subscription }
end

---@param method string
---@param params table
---@return any result
---@return table? err
local function answer(method, params)
  local given = M.answers[method]
  if type(given) == "function" then
    return given(params)
  elseif given ~= nil then
    return given
  elseif method:find("/subscribe$") or method:find("/watch$") then
    next_subscription = next_subscription + 1
    M.subscriptions[next_subscription] = { method = method, params = params }
    if method == "environment/subscribe" then
      vim.schedule(M.tell_environment)
    else
      M.feeds = M.feeds + 1
    end
    return next_subscription
  elseif method:find("/unsubscribe$") then
    local known = M.subscriptions[params.subscription] ~= nil
    M.subscriptions[params.subscription] = nil
    return known
  end
  return nil, { code = -32601, message = "no method " .. method }
end

--- Notes what is said, as it is said: who hears it may change it.
---@param method string
---@param params table?
---@param result any
local function note(method, params, result)
  table.insert(M.said, vim.deepcopy({ method = method, params = params, result = result }))
end

--- Lets the answers go that `held` keeps.
---@param method string
function M.release(method)
  local held = M.held[method]
  M.held[method] = nil
  for _, deliver in ipairs(held) do
    deliver()
  end
end

--- Says something to one subscription.
---@param id integer
---@param result table
function M.tell(id, result)
  local said, to = { subscription = id, result = vim.deepcopy(result) }, dispatchers
  local method = M.subscriptions[id].method:match("^[^/]+") .. "/changed"
  note(method, nil, result)
  -- As on the wire: after the answers that are on their way already.
  vim.schedule(function()
    to.notification(method, said)
  end)
end

--- Tells how the job of the latest call with a token goes.
---@param method string
---@param value table
function M.progress(method, value)
  local token = M.last(method).progressToken
  value = vim.tbl_extend("force", { message = "", job = "job-1" }, value)
  dispatchers.notification("$/progress", { token = token, value = value })
end

--- Says something to every subscription of a method.
---@param method string
---@param result table
function M.notify(method, result)
  for id, subscription in vim.spairs(M.subscriptions) do
    if subscription.method == method then
      M.tell(id, result)
    end
  end
end

--- Rows of a list, all of them, in order.
---@param noun string
---@param rows table[]
---@param more? table
function M.list(noun, rows, more)
  local keys = {}
  for i, row in ipairs(rows) do
    row.key = row.key or row.uuid or row.hostname or row.name
    keys[i] = row.key
  end
  local result = { rows = rows, keys = keys, total = #rows, exact = true }
  M.notify(noun .. "/subscribe", vim.tbl_extend("force", result, more or {}))
end

---@param change? table
function M.tell_environment(change)
  M.environment = vim.tbl_extend("force", M.environment, change or {})
  for name, value in pairs(M.environment) do
    if value == vim.NIL then
      M.environment[name] = nil
    end
  end
  M.list("environment", { M.environment })
end

--- A message arrives that cannot be read: its callback is never called, only on_error hears of it.
function M.garble()
  dispatchers.on_error(1, "invalid unicode escape code")
end

--- The server dies.
---@param code integer
function M.die(code)
  local last = dispatchers
  dispatchers, M.subscriptions = nil, {}
  last.on_exit(code, 0)
end

--- How often a method was called.
---@param method string
---@return integer
function M.count(method)
  local count = 0
  for _, call in ipairs(M.calls) do
    count = count + (call.method == method and 1 or 0)
  end
  return count
end

---@param method string
---@return table? params of its latest call
function M.last(method)
  for i = #M.calls, 1, -1 do
    if M.calls[i].method == method then
      return M.calls[i].params
    end
  end
end

---@param count integer
---@param from? integer
---@return table[]
function M.tasks(count, from)
  local rows = {}
  for i = 1, count do
    local number = (from or 0) + i
    rows[i] = {
      uuid = ("%08d-3b7e-4d1c-9a55-0f6f3e2d1c77"):format(number),
      name = "shop.tasks.charge",
      state = "SUCCESS",
      place = "done",
      args = "(42, 'eur')",
      result = "None",
      seen = 1795521880 - number,
    }
  end
  return rows
end

---@param _ string[]
---@param given table
---@return table
local function start(_, given)
  M.starts = M.starts + 1
  dispatchers = given
  local mine, id = given, 0
  return {
    request = function(method, params, callback)
      if mine ~= dispatchers then
        return false
      end
      id = id + 1
      -- As on the wire: a copy, and an empty table is an object.
      table.insert(M.calls, { method = method, params = vim.deepcopy(params), id = id })
      if not M.silent[method] then
        local result, err = answer(method, vim.deepcopy(params))
        if not err then
          note(method, params, result)
        end
        local function deliver()
          if mine == dispatchers then
            callback(err, result)
          end
        end
        if M.held[method] then
          table.insert(M.held[method], deliver)
        else
          vim.schedule(deliver)
        end
      end
      return true, id
    end,
    notify = function(method, params)
      table.insert(M.calls, { method = method, params = params, id = 0 })
      return true
    end,
    is_closing = function()
      return mine ~= dispatchers
    end,
    terminate = function()
      if mine == dispatchers then
        dispatchers, M.subscriptions = nil, {}
      end
    end,
  }
end

vim.lsp.rpc.start = start -- luacheck: ignore 122

return M
