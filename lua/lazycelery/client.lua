--- The only module that talks to the server: one process per Neovim, shared by all views.
---
--- `vim.lsp.rpc` gives the framing and no more: its callbacks never fire once the server is dead,
--- and a server that stopped reading is never noticed. So every request stands in a table of our
--- own with a deadline, and everything late carries the generation of the process it belongs to.
local config = require("lazycelery.config")

local M = {}

local PROTOCOL = 1
local HANDSHAKE_MS = 2000
local DEADLINE_S = 8
local STARTS, STARTS_WITHIN_S = 3, 60
local RETRY_MS = 500

---@class lazycelery.Pending
---@field callback fun(err: lazycelery.Error?, result: any)
---@field id? integer of the request on the wire

---@class lazycelery.Subscription
---@field method string
---@field params table
---@field callback fun(event: lazycelery.FeedEvent)
---@field id? integer the server's number
---@field owed? table[] changes made while that number is on its way, each with who waits for it

local state = {
  phase = "stopped", ---@type lazycelery.Phase
  reason = nil, ---@type string? why it is lost or refused
  rpc = nil, ---@type vim.lsp.rpc.PublicClient?
  generation = 0,
  info = nil, ---@type table? what initialize answered
  pending = {}, ---@type table<lazycelery.Pending, true>
  waiting = {}, ---@type function[] what to do once the server answered
  subscriptions = {}, ---@type table<lazycelery.Subscription, true>
  by_id = {}, ---@type table<integer, lazycelery.Subscription>
  starts = {}, ---@type number[]
  listeners = {}, ---@type fun(phase: lazycelery.Phase)[]
}

---@param message string
---@param kind? string
---@return lazycelery.Error
local function failure(message, kind)
  return { code = 0, message = message, data = { kind = kind or "server" } }
end

--- vim.NIL is nothing: what is absent is absent in every version of Neovim.
---@param value any
---@return any
local function normalise(value)
  if value == vim.NIL then
    return nil
  elseif type(value) == "table" then
    for key, inner in pairs(value) do
      if inner == vim.NIL then
        value[key] = nil
      elseif type(inner) == "table" then
        normalise(inner)
      end
    end
  end
  return value
end

---@param phase lazycelery.Phase
---@param reason? string
local function enter(phase, reason)
  state.phase, state.reason = phase, reason
  for _, listener in ipairs(state.listeners) do
    listener(phase)
  end
end

--- Calls `listener` on every change of phase.
---@param listener fun(phase: lazycelery.Phase)
function M.on_phase(listener)
  table.insert(state.listeners, listener)
end

---@return lazycelery.Phase phase
---@return string? reason
function M.phase()
  return state.phase, state.reason
end

--- What `initialize` answered, while the server lives.
---@return table?
function M.info()
  return state.info
end

---@return string[]
function M.command()
  return config.options.cmd
end

--- Fails what is under way, in the words of `reason`.
---@param reason string
local function fail_pending(reason)
  local pending, waiting = state.pending, state.waiting
  state.pending, state.waiting, state.by_id = {}, {}, {}
  for entry in pairs(pending) do
    entry.callback(failure(reason), nil)
  end
  for _, action in ipairs(waiting) do
    action(failure(reason))
  end
  for subscription in pairs(state.subscriptions) do
    subscription.id = nil
    subscription.callback({ lost = reason })
  end
end

---@param entry lazycelery.Pending
---@param err lazycelery.Error?
---@param result any
local function settle(entry, err, result)
  if state.pending[entry] then
    state.pending[entry] = nil
    entry.callback(err, normalise(result))
  end
end

---@param method string
---@param params table?
---@param callback fun(err: lazycelery.Error?, result: any)
---@param timeout number seconds
---@return lazycelery.Pending
local function send(method, params, callback, timeout)
  local entry = { callback = callback }
  state.pending[entry] = true
  if not params or next(params) == nil then
    params = vim.empty_dict()
  end
  local rpc = assert(state.rpc, "a server to ask")
  local sent, id = rpc.request(method, params, function(err, result)
    settle(entry, normalise(err), result)
  end)
  if not sent then
    vim.schedule(function()
      settle(entry, failure("the server does not take requests"))
    end)
    return entry
  end
  entry.id = id
  vim.defer_fn(function()
    settle(entry, failure(("%s: no answer within %d s"):format(method, timeout), "timeout"))
  end, math.floor(timeout * 1000))
  return entry
end

--- Changes what a feed is asked with. Where the feed's number is still on its way, the change
--- follows it; where none was asked for, the next subscription carries it.
---@param subscription lazycelery.Subscription
---@param change table
---@param done? fun(err: lazycelery.Error?)
local function update(subscription, change, done)
  -- `false` takes a parameter back to its default.
  local sent = {}
  for name, value in pairs(change) do
    sent[name] = value
    subscription.params[name] = value
  end
  if not subscription.id then
    if subscription.owed then
      table.insert(subscription.owed, { sent, done })
    end
    return
  end
  sent.subscription = subscription.id
  send("subscription/update", sent, function(err)
    if done then
      done(err)
    end
  end, DEADLINE_S)
end

---@param subscription lazycelery.Subscription
local function subscribe(subscription)
  local generation = state.generation
  subscription.owed = {}
  send(subscription.method, vim.deepcopy(subscription.params), function(err, id)
    local owed = subscription.owed
    subscription.owed = nil
    if generation ~= state.generation then
      return
    elseif err then
      subscription.callback({ error = err })
    elseif not state.subscriptions[subscription] then
      send(
        M.unsubscribe_method(subscription.method),
        { subscription = id },
        function() end,
        DEADLINE_S
      )
    else
      subscription.id = id
      state.by_id[id] = subscription
      subscription.callback({ subscribed = true })
      for _, one in ipairs(owed or {}) do
        update(subscription, unpack(one))
      end
    end
  end, DEADLINE_S)
end

--- `task/subscribe` and `task/watch` end with `task/unsubscribe`.
---@param method string
---@return string
function M.unsubscribe_method(method)
  return method:match("^[^/]+") .. "/unsubscribe"
end

--- `$/progress` and feeds; anything else is of a later protocol and none of our business.
---@param generation integer
---@param method string
---@param params table?
local function notified(generation, method, params)
  if generation ~= state.generation or type(params) ~= "table" or not method:find("/changed$") then
    return
  end
  local subscription = state.by_id[params.subscription]
  if not subscription then
    return
  elseif params.error then
    state.by_id[params.subscription] = nil
    subscription.id = nil
    subscription.callback({ error = normalise(params.error) })
  elseif params.result then
    subscription.callback({ result = normalise(params.result) })
  end
end

--- Why a command cannot be started, told apart as far as that is possible.
---@param cmd string[]
---@return string? sentence
local function obstacle(cmd)
  local program = cmd[1]
  if type(program) ~= "string" or program == "" then
    return "the option `cmd` holds no program"
  end
  local path = vim.fn.exepath(program)
  if path ~= "" then
    return nil
  elseif program:find("/") and vim.uv.fs_stat(program) then
    return program .. " is not executable"
  end
  return ("%s is not on PATH: install it, or set the option `cmd` (:help lazycelery-install)"):format(
    program
  )
end

--- What a program that did not answer says about itself, in one line.
---@param cmd string[]
---@param callback fun(text: string)
local function quote(cmd, callback)
  local ok = pcall(
    vim.system,
    vim.list_extend(vim.list_slice(cmd), { "--version" }),
    { text = true, timeout = 1000, stdin = "" },
    vim.schedule_wrap(function(out)
      local said = vim.trim((out.stderr ~= "" and out.stderr or out.stdout) or "")
      callback(said:match("[^\n]*") or "")
    end)
  )
  if not ok then
    callback("its loader or interpreter is missing")
  end
end

--- Gives up on the program that runs, until someone asks again.
---@param reason string
local function refuse(reason)
  local rpc = state.rpc
  state.rpc, state.info = nil, nil
  state.generation = state.generation + 1
  if rpc then
    pcall(rpc.terminate)
  end
  enter("refused", reason)
  fail_pending(reason)
end

---@return boolean too_many
local function count_start()
  local now = vim.uv.now() / 1000
  state.starts = vim.tbl_filter(function(at)
    return now - at < STARTS_WITHIN_S
  end, state.starts)
  table.insert(state.starts, now)
  return #state.starts > STARTS
end

---@param generation integer
---@param code integer
---@param signal integer
local function exited(generation, code, signal)
  if generation ~= state.generation then
    return
  end
  local greeted, cmd = state.phase == "ready", M.command()
  local how = signal ~= 0 and ("was ended by signal %d"):format(signal)
    or ("exited with %d"):format(code)
  state.rpc, state.info = nil, nil
  state.generation = state.generation + 1
  if greeted then
    local reason = "the server " .. how
    enter("lost", reason)
    fail_pending(reason)
    local lost = state.generation
    vim.defer_fn(function()
      if state.generation == lost and state.phase == "lost" and next(state.subscriptions) then
        M.start()
      end
    end, RETRY_MS)
    return
  end
  local failed = state.generation
  quote(cmd, function(said)
    if failed == state.generation then
      local path = vim.fn.exepath(cmd[1])
      refuse(("%s %s%s"):format(path, how, said ~= "" and ": " .. said or ""))
    end
  end)
end

---@param err lazycelery.Error?
---@param result table?
local function greeted(err, result)
  local path = vim.fn.exepath(M.command()[1])
  if err and err.data and err.data.kind == "timeout" then
    return refuse(
      ("%s did not answer within 2 s; is it another program of that name?"):format(path)
    )
  elseif err then
    return refuse(("%s: %s"):format(path, err.message))
  elseif type(result) ~= "table" or result.protocol ~= PROTOCOL then
    local spoken = type(result) == "table" and result.protocol or "none we know"
    return refuse(
      ("%s speaks protocol %s, this plugin %d: update the older of the two"):format(
        path,
        tostring(spoken),
        PROTOCOL
      )
    )
  end
  state.info = result
  enter("ready")
  local waiting = state.waiting
  state.waiting = {}
  for _, action in ipairs(waiting) do
    action()
  end
  for subscription in pairs(state.subscriptions) do
    if not subscription.id then
      subscribe(subscription)
    end
  end
end

--- Starts the server unless it runs. `by_hand` forgives earlier failures.
---@param by_hand? boolean
function M.start(by_hand)
  if state.phase == "starting" or state.phase == "ready" then
    return
  elseif by_hand then
    state.starts = {}
  end
  local cmd = M.command()
  local reason = obstacle(cmd)
  if not reason and count_start() then
    reason = ("the server ended %d times within a minute (last: %s)"):format(
      STARTS,
      state.reason or "no reason known"
    )
  end
  if reason then
    return refuse(reason)
  end
  state.generation = state.generation + 1
  local generation = state.generation
  enter("starting")
  local ok, rpc = pcall(vim.lsp.rpc.start, cmd, {
    notification = function(method, params)
      notified(generation, method, params)
    end,
    server_request = function(method)
      return nil, { code = -32601, message = "no method " .. method }
    end,
    on_exit = vim.schedule_wrap(function(code, signal)
      exited(generation, code, signal)
    end),
    on_error = vim.schedule_wrap(function()
      M.resynchronise(generation)
    end),
  })
  if not ok then
    return refuse(("%s cannot be started: %s"):format(cmd[1], vim.split(tostring(rpc), "\n")[1]))
  end
  state.rpc = rpc --[[@as vim.lsp.rpc.PublicClient]]
  local version = vim.fn.api_info().version --[[@as table]]
  send("initialize", {
    processId = vim.fn.getpid(),
    clientInfo = {
      name = "lazycelery.nvim",
      version = ("%d.%d.%d"):format(version.major, version.minor, version.patch),
    },
    initializationOptions = { protocol = PROTOCOL },
  }, function(err, result)
    if generation == state.generation then
      greeted(err, result)
    end
  end, HANDSHAKE_MS / 1000)
end

--- A message was lost on its way here: what it said is unknown, so every feed starts anew.
---@param generation integer
function M.resynchronise(generation)
  if generation ~= state.generation or state.phase ~= "ready" then
    return
  end
  for subscription in pairs(state.subscriptions) do
    if subscription.id then
      local id = subscription.id
      state.by_id[id] = nil
      subscription.id = nil
      send(
        M.unsubscribe_method(subscription.method),
        { subscription = id },
        function() end,
        DEADLINE_S
      )
      subscribe(subscription)
    end
  end
end

--- Calls a method; starts the server where it does not run. Never waits.
---@param method string
---@param params table?
---@param callback fun(err: lazycelery.Error?, result: any)
---@param timeout? number seconds
---@return fun() cancel
function M.request(method, params, callback, timeout)
  local entry, cancelled
  local function go(err)
    if cancelled then
      return
    elseif err then
      return callback(err, nil)
    end
    entry = send(method, params, callback, timeout or DEADLINE_S)
  end
  if state.phase == "ready" then
    go()
  else
    -- The caller is told after this has returned, even where the start fails at once.
    table.insert(state.waiting, vim.schedule_wrap(go))
    M.start()
  end
  return function()
    cancelled = true
    if entry and state.pending[entry] then
      state.pending[entry] = nil
      if entry.id and state.rpc then
        state.rpc.notify("$/cancelRequest", { id = entry.id })
      end
    end
  end
end

--- A feed that outlives the server: after a restart it is subscribed to anew.
---@param method string
---@param params table
---@param callback fun(event: lazycelery.FeedEvent)
---@return lazycelery.Feed
function M.subscribe(method, params, callback)
  local subscription = { method = method, params = params, callback = callback }
  state.subscriptions[subscription] = true
  if state.phase == "ready" then
    subscribe(subscription)
  elseif state.phase ~= "starting" then
    vim.schedule(M.start)
  end
  return {
    update = function(change, done)
      update(subscription, change, done)
    end,
    renew = function()
      if state.phase == "ready" and not subscription.id then
        subscribe(subscription)
      end
    end,
    stop = function()
      state.subscriptions[subscription] = nil
      local id = subscription.id
      if id and state.phase == "ready" then
        state.by_id[id] = nil
        send(M.unsubscribe_method(method), { subscription = id }, function() end, DEADLINE_S)
      end
      subscription.id = nil
    end,
  }
end

--- Stops the server. Feeds stay known: the next start brings them back.
function M.stop()
  local rpc = state.rpc
  state.rpc, state.info = nil, nil
  state.generation = state.generation + 1
  if rpc then
    pcall(rpc.terminate)
  end
  enter("stopped")
  fail_pending("the server was stopped")
end

return M
