--- What a view asks the server for, and what it does with the answers.
local client = require("lazycelery.client")
local complete = require("lazycelery.filter.complete")
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local paint = require("lazycelery.paint")
local poll = require("lazycelery.poll")

local M = {}

local RENEW_MS = 3000
--- A view says that it loads where that takes longer than an eye notices.
local LOADING_MS = 220

--- Rows that a list is asked for at a time.
M.PAGE = 500

---@param view lazycelery.View
---@param result lazycelery.FeedResult
local function take(view, result)
  if result.row then
    view.rows.row = result.row
  else
    local rows, dirty, news = view.rows, view.dirty, 0
    for _, row in ipairs(result.rows or {}) do
      news = news + (rows[row.key] and 0 or 1)
      rows[row.key] = row
      dirty[row.key] = true
    end
    view.held_rows = view.held_rows + news
    view.keys = result.keys or view.keys
    view.moved = view.moved or news > 0 or result.keys ~= nil
    view.total, view.exact = result.total, result.exact
    view.undecided, view.incomplete = result.undecided, result.incomplete
    view.hints = result.hints
    view.loading = result.more
  end
  if not view.loaded then
    complete.learn(view)
  end
  view.loaded, view.error, view.lost = true, nil, nil
end

---@param view lazycelery.View
---@param event lazycelery.FeedEvent
local function received(view, event)
  if view.closed then
    return
  elseif event.lost then
    view.lost = event.lost
  elseif event.error then
    view.error = event.error
    vim.defer_fn(function()
      if view.error and view.feed and not view.closed then
        view.feed.renew()
      end
    end, RENEW_MS)
  elseif event.result then
    take(view, event.result)
    if view.heard then
      view.heard()
    end
  end
  paint.soon(view)
end

--- What the feed of a view is asked with.
---@param view lazycelery.View
---@return table
local function params(view)
  local asked = { environment = not view.def.global and view.id.environment or nil }
  if view.def.layout == "list" and view.def.feed then
    asked.interval = config.options.interval
    asked.filter = view.filter
    asked.sort = view.sort
    -- Of 5,000 keys most stay where they are: to read them all each time would be felt.
    asked.moves = not view.def.global or nil
  end
  if view.def.layout == "list" then
    asked.limit = view.limit
  end
  return vim.tbl_extend("force", asked, view.def.params and view.def.params(view.id) or {})
end

--- Follows the cluster while a window shows the view.
---@param view lazycelery.View
function M.start(view)
  if view.feed or view.closed or view.asleep then
    return
  end
  environment.watch()
  view.since = vim.uv.now()
  local subscribe = view.def.feed and client.subscribe or poll.subscribe
  local mine = {}
  view.turn = mine
  local method = assert(view.def.feed or view.def.poll, "a view asks for something")
  view.feed = subscribe(method, params(view), function(event)
    if view.turn == mine then
      received(view, event)
    end
  end)
  vim.defer_fn(function()
    if not view.loaded then
      paint.soon(view)
    end
  end, LOADING_MS)
end

---@param view lazycelery.View
function M.stop(view)
  view.turn = nil
  if view.feed then
    view.feed.stop()
    view.feed = nil
  end
end

--- Changes what the feed asks for, in place.
---@param view lazycelery.View
---@param change table
---@param done? fun(err: lazycelery.Error?)
function M.update(view, change, done)
  if view.feed then
    view.feed.update(change, done)
  end
end

--- Asks for everything anew, and lets a held list go.
---@param view lazycelery.View
function M.refresh(view)
  view.let_go, view.asleep, view.error = true, nil, nil
  if client.phase() ~= "ready" then
    client.start(true)
  end
  M.stop(view)
  M.start(view)
  paint.now(view, true)
end

--- One page more, as far as `rows` allows.
---@param view lazycelery.View
---@return boolean grown
function M.grow(view)
  local most = paint.most()
  if view.limit >= most or (view.total or 0) <= view.limit then
    return false
  end
  view.limit = math.min(most, view.limit + M.PAGE)
  M.update(view, { limit = view.limit })
  return true
end

return M
