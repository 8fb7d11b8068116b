--- Feeds that outlive the server: every process that comes is subscribed with anew.
local calls = require("lazycelery.client.calls")

local M = {}

---@class lazycelery.Subscription
---@field method string
---@field params table
---@field callback fun(event: lazycelery.FeedEvent)
---@field id? integer the server's number
---@field keys string[] of its window, as last told
---@field owed? table[] changes made while that number is on its way, each with who waits for it

local known = {} ---@type table<lazycelery.Subscription, true>
local by_id = {} ---@type table<integer, lazycelery.Subscription>

--- `task/subscribe` and `task/watch` end with `task/unsubscribe`.
---@param method string
---@return string
local function unsubscribe_method(method)
  return method:match("^[^/]+") .. "/unsubscribe"
end

---@param method string
---@param id integer
local function unsubscribe(method, id)
  by_id[id] = nil
  calls.send(unsubscribe_method(method), { subscription = id }, function() end)
end

--- Changes what a feed is asked with. Where the feed's number is still on its way, the change
--- follows it; where none was asked for, the next subscription carries it.
---@param subscription lazycelery.Subscription
---@param change table
---@param done? fun(err: lazycelery.Error?)
function M.update(subscription, change, done)
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
  calls.send("subscription/update", sent, function(err)
    if done then
      done(err)
    end
  end)
end

---@param subscription lazycelery.Subscription
local function subscribe(subscription)
  local turn = calls.turn()
  subscription.owed = {}
  calls.send(subscription.method, vim.deepcopy(subscription.params), function(err, id)
    local owed = subscription.owed
    subscription.owed = nil
    if turn ~= calls.turn() then
      return
    elseif err then
      subscription.callback({ error = err })
    elseif not known[subscription] then
      unsubscribe(subscription.method, id)
    else
      subscription.id = id
      by_id[id] = subscription
      subscription.callback({ subscribed = true })
      for _, one in ipairs(owed or {}) do
        M.update(subscription, unpack(one))
      end
    end
  end)
end

---@param method string
---@param params table
---@param callback fun(event: lazycelery.FeedEvent)
---@param ready boolean there is a server to subscribe with
---@return lazycelery.Subscription
function M.open(method, params, callback, ready)
  local subscription = { method = method, params = params, callback = callback, keys = {} }
  known[subscription] = true
  if ready then
    subscribe(subscription)
  end
  return subscription
end

---@param subscription lazycelery.Subscription
---@param ready boolean
function M.close(subscription, ready)
  known[subscription] = nil
  local id = subscription.id
  subscription.id = nil
  if id and ready then
    unsubscribe(subscription.method, id)
  end
end

--- Subscribes again where an error had ended it.
---@param subscription lazycelery.Subscription
function M.renew(subscription)
  if known[subscription] and not subscription.id and not subscription.owed then
    subscribe(subscription)
  end
end

--- Is anything followed?
---@return boolean
function M.any()
  return next(known) ~= nil
end

--- A server is there: what has no number yet asks for one.
function M.restore()
  for subscription in pairs(known) do
    if not subscription.id then
      subscribe(subscription)
    end
  end
end

--- The server is gone.
---@param reason string
function M.lost(reason)
  by_id = {}
  for subscription in pairs(known) do
    subscription.id = nil
    subscription.callback({ lost = reason })
  end
end

--- A message was lost on its way here: what it said is unknown, so every feed starts anew.
function M.resynchronise()
  for subscription in pairs(known) do
    local id = subscription.id
    if id then
      subscription.id = nil
      unsubscribe(subscription.method, id)
      subscribe(subscription)
    end
  end
end

--- An order of keys after what moved in it.
---@param keys string[]
---@param moves { from: integer, gone: integer, come: string[] }[]
---@return string[]
local function moved(keys, moves)
  local after, count, from = {}, 0, 1
  local function take(list, first, last)
    for i = first, last do
      count = count + 1
      after[count] = list[i]
    end
  end
  for _, move in ipairs(moves) do
    take(keys, from, move.from)
    take(move.come, 1, #move.come)
    from = move.from + move.gone + 1
  end
  take(keys, from, #keys)
  return after
end

--- A change of rows, with all keys where their order changed, however that was told.
---@param subscription lazycelery.Subscription
---@param result table
---@return lazycelery.FeedResult
local function whole(subscription, result)
  if result.moves then
    result.keys, result.moves = moved(subscription.keys, result.moves), nil
  end
  subscription.keys = result.keys or subscription.keys
  return result
end

--- What a `…/changed` says, given to whom it concerns.
---@param params table
function M.heard(params)
  local subscription = by_id[params.subscription]
  if not subscription then
    return
  elseif params.error then
    by_id[params.subscription] = nil
    subscription.id = nil
    subscription.callback({ error = calls.normalise(params.error) })
  elseif params.result then
    subscription.callback({ result = whole(subscription, calls.normalise(params.result)) })
  end
end

return M
