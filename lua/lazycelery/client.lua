--- The only module that talks to the server: one process per Neovim, shared by all views. Here is
--- its life; requests, feeds and the program itself are in `client/`.
local calls = require("lazycelery.client.calls")
local config = require("lazycelery.config")
local feeds = require("lazycelery.client.feeds")
local program = require("lazycelery.client.program")
local progress = require("lazycelery.client.progress")

local M = {}

local PROTOCOL = 1
local HANDSHAKE_S = 2

local state = {
  phase = "stopped", ---@type lazycelery.Phase
  reason = nil, ---@type string? why it is lost or refused
  info = nil, ---@type table? what initialize answered
  environments = nil, ---@type table? what it was told to watch beside its own
  waiting = {}, ---@type fun(err: lazycelery.Error?)[] what to do once the server answered
  listeners = {}, ---@type fun(phase: lazycelery.Phase)[]
}

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

--- The process is no more: whoever waits for it is told.
---@param phase lazycelery.Phase
---@param reason string
local function leave(phase, reason)
  state.info = nil
  enter(phase, phase ~= "stopped" and reason or nil)
  local waiting = state.waiting
  state.waiting = {}
  calls.fail(reason)
  for _, action in ipairs(waiting) do
    action(calls.failure(reason))
  end
  feeds.lost(reason)
end

--- Gives up on the program that runs, until someone asks again.
---@param reason string
local function refuse(reason)
  calls.terminate()
  leave("refused", reason)
end

--- Starts it again in a while, for those who follow something.
local function revive()
  local lost = calls.turn()
  vim.defer_fn(function()
    if calls.turn() == lost and state.phase == "lost" and feeds.any() then
      M.start()
    end
  end, program.back_off())
end

---@param turn integer
---@param code integer
---@param signal integer
local function exited(turn, code, signal)
  if turn ~= calls.turn() then
    return
  end
  local how = signal ~= 0 and ("was ended by signal %d"):format(signal)
    or ("exited with %d"):format(code)
  calls.ask_through(nil)
  if state.phase == "ready" then
    leave("lost", "the server " .. how)
    return revive()
  end
  local cmd, failed = M.command(), calls.turn()
  program.quote(cmd, function(said)
    if failed == calls.turn() then
      local path = vim.fn.exepath(cmd[1])
      refuse(("%s %s%s"):format(path, how, said ~= "" and ": " .. said or ""))
    end
  end)
end

--- Why what answered `initialize` is not for us.
---@param err lazycelery.Error?
---@param result table?
---@return string?
local function mismatch(err, result)
  local path = vim.fn.exepath(M.command()[1])
  if err and err.data and err.data.kind == "timeout" then
    return ("%s did not answer within 2 s; is it another program of that name?"):format(path)
  elseif err then
    return ("%s: %s"):format(path, err.message)
  elseif type(result) ~= "table" or result.protocol ~= PROTOCOL then
    local spoken = type(result) == "table" and result.protocol or "none we know"
    return ("%s speaks protocol %s, this plugin %d: update the older of the two"):format(
      path,
      tostring(spoken),
      PROTOCOL
    )
  end
end

---@param err lazycelery.Error?
---@param result table?
local function greeted(err, result)
  local reason = mismatch(err, result)
  if reason then
    return refuse(reason)
  end
  state.info = result
  enter("ready")
  local waiting = state.waiting
  state.waiting = {}
  for _, action in ipairs(waiting) do
    action()
  end
  feeds.restore()
end

---@param turn integer
local function greet(turn)
  local version = vim.fn.api_info().version --[[@as table]]
  local environments = config.options.environments
  state.environments = environments
  calls.send("initialize", {
    processId = vim.fn.getpid(),
    clientInfo = {
      name = "lazycelery.nvim",
      version = ("%d.%d.%d"):format(version.major, version.minor, version.patch),
    },
    initializationOptions = {
      protocol = PROTOCOL,
      -- Without any it would be an array, in JSON.
      config = next(environments) and { environments = environments } or nil,
    },
  }, function(err, result)
    if turn == calls.turn() then
      greeted(err, result)
    end
  end, HANDSHAKE_S)
end

--- What the process says by itself. Whatever a later protocol brings is none of our business.
---@param turn integer
---@return vim.lsp.rpc.Dispatchers
local function listen(turn)
  return {
    notification = function(method, params)
      if turn ~= calls.turn() or type(params) ~= "table" then
        return
      elseif method:find("/changed$") then
        feeds.heard(params)
      elseif method == "$/progress" then
        progress.heard(calls.normalise(params))
      end
    end,
    server_request = function(method)
      return nil, { code = -32601, message = "no method " .. method }
    end,
    on_exit = vim.schedule_wrap(function(code, signal)
      exited(turn, code, signal)
    end),
    on_error = vim.schedule_wrap(function()
      if turn == calls.turn() and state.phase == "ready" then
        feeds.resynchronise()
      end
    end),
  }
end

--- Starts the server unless it runs. `by_hand` forgives earlier failures.
---@param by_hand? boolean
function M.start(by_hand)
  if state.phase == "starting" or state.phase == "ready" then
    return
  elseif by_hand then
    program.forgive()
  end
  local cmd = M.command()
  local reason = program.obstacle(cmd) or program.count_start(state.reason)
  if reason then
    return refuse(reason)
  end
  local turn = calls.turn() + 1
  enter("starting")
  local ok, process = pcall(vim.lsp.rpc.start, cmd, listen(turn))
  if not ok then
    return refuse(
      ("%s cannot be started: %s"):format(cmd[1], vim.split(tostring(process), "\n")[1])
    )
  end
  calls.ask_through(process --[[@as vim.lsp.rpc.PublicClient]])
  greet(turn)
end

--- Calls a method; starts the server where it does not run. Never waits.
---@param method string
---@param params table?
---@param callback fun(err: lazycelery.Error?, result: any)
---@param timeout? number|false seconds; false where the caller watches over it
---@return fun() cancel
function M.request(method, params, callback, timeout)
  local entry, cancelled ---@type lazycelery.Pending?, boolean?
  local function go(err)
    if cancelled then
      return
    elseif err then
      return callback(err, nil)
    end
    entry = calls.send(method, params, callback, timeout)
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
    if entry then
      calls.cancel(entry)
    end
  end
end

--- Calls a method that acts, or says what that would do; `heard` is told how it goes.
---@param method string
---@param params table
---@param heard fun(progress: lazycelery.Progress)
---@param callback fun(err: lazycelery.Error?, result: any)
---@param timeout? number seconds; without it as long as it takes: whoever listens sees whether it goes on
---@return fun() cancel
function M.act(method, params, heard, callback, timeout)
  local token = progress.token(heard)
  local asked = vim.tbl_extend("force", params, { progressToken = token })
  local cancel = M.request(method, asked, function(err, result)
    progress.forget(token)
    callback(err, result)
  end, timeout or false)
  return function()
    progress.forget(token)
    cancel()
  end
end

--- A feed that outlives the server: after a restart it is subscribed to anew.
---@param method string
---@param params table
---@param callback fun(event: lazycelery.FeedEvent)
---@return lazycelery.Feed
function M.subscribe(method, params, callback)
  local subscription = feeds.open(method, params, callback, state.phase == "ready")
  if state.phase ~= "starting" and state.phase ~= "ready" then
    vim.schedule(M.start)
  end
  return {
    update = function(change, done)
      feeds.update(subscription, change, done)
    end,
    renew = function()
      if state.phase == "ready" then
        feeds.renew(subscription)
      end
    end,
    stop = function()
      feeds.close(subscription, state.phase == "ready")
    end,
  }
end

--- Settings that the running server does not know of: it was started with others.
---@return string[]
function M.outdated()
  if state.phase ~= "ready" then
    return {}
  end
  local names = program.outdated()
  if not vim.deep_equal(state.environments, config.options.environments) then
    names[#names + 1] = "`environments`"
  end
  return names
end

--- Starts the server anew, with the settings of now.
function M.restart()
  M.stop()
  M.start(true)
end

--- Stops the server. Feeds stay known: the next start brings them back.
function M.stop()
  calls.terminate()
  leave("stopped", "the server was stopped")
end

return M
