--- Requests under way, and their deadlines. Knows one process and no feed.
---
--- `vim.lsp.rpc` gives the framing and no more: its callbacks never fire once the server is dead,
--- and a server that stopped reading is never noticed. So every request stands in a table of our
--- own, and what comes late, of a process that is no more, finds nobody.
local M = {}

--- Seconds that an answer may take.
M.DEADLINE_S = 8

---@class lazycelery.Pending
---@field callback fun(err: lazycelery.Error?, result: any)
---@field id? integer of the request on the wire

local rpc ---@type vim.lsp.rpc.PublicClient?
local turn = 0
local pending = {} ---@type table<lazycelery.Pending, true>

---@param message string
---@param kind? string
---@return lazycelery.Error
function M.failure(message, kind)
  return { code = 0, message = message, data = { kind = kind or "server" } }
end

--- vim.NIL is nothing: what is absent is absent in every version of Neovim.
---@param value any
---@return any
function M.normalise(value)
  if value == vim.NIL then
    return nil
  elseif type(value) == "table" then
    for key, inner in pairs(value) do
      if inner == vim.NIL then
        value[key] = nil
      elseif type(inner) == "table" then
        M.normalise(inner)
      end
    end
  end
  return value
end

--- Another process is asked from now on, or none. What was under way is told so by `fail`.
---@param process vim.lsp.rpc.PublicClient?
function M.ask_through(process)
  rpc, turn = process, turn + 1
end

--- Which process is asked: what is of an earlier one is of no use.
---@return integer
function M.turn()
  return turn
end

--- Ends the process, if there is one.
function M.terminate()
  local process = rpc
  M.ask_through(nil)
  if process then
    pcall(process.terminate)
  end
end

---@param entry lazycelery.Pending
---@param err lazycelery.Error?
---@param result any
local function settle(entry, err, result)
  if pending[entry] then
    pending[entry] = nil
    entry.callback(err, M.normalise(result))
  end
end

--- Fails what is under way, in the words of `reason`.
---@param reason string
function M.fail(reason)
  local failed = pending
  pending = {}
  for entry in pairs(failed) do
    entry.callback(M.failure(reason), nil)
  end
end

--- Asks the process; the callback is called once, whatever becomes of it.
---@param method string
---@param params table?
---@param callback fun(err: lazycelery.Error?, result: any)
---@param timeout? number|false seconds; false where the caller watches over it
---@return lazycelery.Pending
function M.send(method, params, callback, timeout)
  timeout = timeout == nil and M.DEADLINE_S or timeout
  local entry = { callback = callback }
  pending[entry] = true
  if not params or next(params) == nil then
    params = vim.empty_dict()
  end
  local process = assert(rpc, "a server to ask")
  local sent, id = process.request(method, params, function(err, result)
    settle(entry, M.normalise(err), result)
  end)
  if not sent then
    vim.schedule(function()
      settle(entry, M.failure("the server does not take requests"))
    end)
    return entry
  end
  entry.id = id
  if timeout then
    vim.defer_fn(function()
      settle(entry, M.failure(("%s: no answer within %d s"):format(method, timeout), "timeout"))
    end, math.floor(timeout * 1000))
  end
  return entry
end

--- Gives a request up: its callback is not called any more.
---@param entry lazycelery.Pending
function M.cancel(entry)
  if pending[entry] then
    pending[entry] = nil
    if entry.id and rpc then
      rpc.notify("$/cancelRequest", { id = entry.id })
    end
  end
end

return M
