--- The public API. All else is private and may change.
local client = require("lazycelery.client")
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local tell = require("lazycelery.tell")

local M = {}

--- Options, where the defaults do not fit. Optional; may be called again.
---@param options? table see :help lazycelery-options
function M.setup(options)
  config.set(options)
end

--- What is another's to run: where it throws, that is told, and nothing of ours stops.
---@param what string
---@param callback function
---@return function
local function foreign(what, callback)
  assert(vim.is_callable(callback), ("lazycelery: %s takes a callback"):format(what))
  return function(...)
    local ok, err = pcall(callback, ...)
    if not ok then
      tell.of(("the callback of %s: %s"):format(what, err), vim.log.levels.ERROR)
    end
  end
end

---@class lazycelery.OpenRequest: lazycelery.OpenOptions
---@field environment? string default: the server's default
---@field key? string the task's uuid, the worker's hostname, the queue's name
---@field filter? string

--- Why there is no such view, if so.
---@param def lazycelery.ViewDef?
---@param view string
---@param options lazycelery.OpenRequest
---@return string?
local function refusal(def, view, options)
  if not def then
    return "no view " .. vim.inspect(view)
  elseif def.up and not options.key then
    return ("the view %q takes a key"):format(view)
  end
end

--- Opens a view: "workers", "tasks", "queues", "environments", or with `key` "worker", "task", "messages".
---@param view string
---@param options? lazycelery.OpenRequest
function M.open(view, options)
  options = options or {}
  local views = require("lazycelery.view")
  local def = views.def(view)
  local refused = refusal(def, view, options)
  if refused then
    return tell.of(refused, vim.log.levels.ERROR)
  end
  local others = client.outdated()
  if #others > 0 then
    local names = table.concat(others, ", ")
    tell.of(
      ("the server was started with another %s; :LazyCelery restart"):format(names),
      vim.log.levels.WARN
    )
  end
  if def and def.global then
    views.open({ environment = "", view = view, filter = options.filter }, options)
    return
  end
  environment.resolve(options.environment, function(name)
    views.open({
      environment = name,
      view = view,
      key = options.key,
      filter = options.filter,
    }, options)
  end)
end

--- Calls a method of the server, which starts where it does not run. Never waits; the callback is
--- called once, after this has returned, unless the request is cancelled.
---@param method string
---@param params table?
---@param callback fun(err: lazycelery.Error?, result: any)
---@return fun() cancel
function M.request(method, params, callback)
  return client.request(method, params, foreign(method, callback))
end

--- Follows a feed; it outlives the server. The callback gets one of `{ subscribed }`, `{ result }`,
--- `{ error }` and `{ lost }`, and nothing more once it is stopped.
---@param method string
---@param params table?
---@param callback fun(event: lazycelery.FeedEvent)
---@return fun() stop
function M.subscribe(method, params, callback)
  local stopped, call = false, foreign(method, callback)
  local feed = client.subscribe(method, params or {}, function(event)
    if not stopped then
      call(event)
    end
  end)
  return function()
    if not stopped then
      stopped = true
      feed.stop()
    end
  end
end

--- The modules of views, where something has loaded them: who only asks starts nothing.
---@return table?
local function loaded_views()
  return package.loaded["lazycelery.view"]
end

---@class lazycelery.Row
---@field environment string
---@field noun "worker"|"task"|"queue"|"environment"
---@field key? string the uuid, the hostname, the name; none where the cursor is on no row

--- What the cursor is on in a view of ours.
---@return lazycelery.Row?
function M.row()
  local views = loaded_views()
  local view = views and views.get()
  if not views or not view then
    return nil
  end
  local row = views.row(view)
  return {
    environment = views.environment(view) or "",
    noun = view.def.noun,
    key = row and view.def.identity(row) or view.id.key,
  }
end

---@class lazycelery.Status
---@field phase lazycelery.Phase
---@field reason? string why the server is lost or refused
---@field environments lazycelery.EnvironmentRow[] as last heard

--- The server and the environments, as far as they are known.
---@return lazycelery.Status
function M.status()
  local phase, reason = client.phase()
  return {
    phase = phase,
    reason = reason,
    environments = vim.deepcopy(vim.tbl_map(environment.get, environment.names())),
  }
end

--- A text for a statusline: the environment of the current view, else the first, and its figures.
--- Every `%` in it is doubled, as 'statusline' wants it.
---@return string
function M.statusline()
  local views = loaded_views()
  if not views then
    return ""
  end
  local view = views.get()
  local name = view and view.id.environment or environment.names()[1]
  return name and require("lazycelery.statusline").brief(name) or ""
end

--- Ends the server and all views' business, for plugin managers that load this plugin anew.
function M.deactivate()
  local views = loaded_views()
  if views then
    views.close_all()
  end
  client.stop()
end

return M
