--- The public API. All else is private and may change.
local client = require("lazycelery.client")
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")

local M = {}

--- Options, where the defaults do not fit. Optional; may be called again.
---@param options? table see :help lazycelery-options
function M.setup(options)
  config.set(options)
end

--- Calls `action` with the environment to use, once the server has answered.
---@param wanted? string
---@param action fun(environment: string)
local function with_environment(wanted, action)
  if wanted then
    return action(wanted)
  end
  client.request("environment/list", {}, function(err)
    local name = not err and environment.default(client.info() or {})
    if err then
      vim.notify("lazycelery: " .. err.message, vim.log.levels.ERROR)
    elseif not name then
      vim.notify(
        "lazycelery: no environment: set CELERY_BROKER_URL or write a configuration (:help lazycelery-first)",
        vim.log.levels.ERROR
      )
    else
      action(name)
    end
  end)
end

---@class lazycelery.OpenRequest: lazycelery.OpenOptions
---@field environment? string default: the server's default
---@field key? string the task's uuid, the worker's hostname, the queue's name
---@field filter? string

--- Opens a view: "workers", "tasks", "queues", "environments", or with `key` "worker", "task", "messages".
---@param view string
---@param options? lazycelery.OpenRequest
function M.open(view, options)
  options = options or {}
  local others = client.outdated()
  if #others > 0 then
    local names = table.concat(others, ", ")
    vim.notify(
      ("lazycelery: the server was started with another %s; :LazyCelery restart"):format(names),
      vim.log.levels.WARN
    )
  end
  local views = require("lazycelery.view")
  local def = views.def(view)
  if def and def.global then
    views.open({ environment = "", view = view, filter = options.filter }, options)
    return
  end
  with_environment(options.environment or config.options.environment, function(name)
    views.open({
      environment = name,
      view = view,
      key = options.key,
      filter = options.filter,
    }, options)
  end)
end

--- Calls a method of the server. Never waits.
---@param method string
---@param params table?
---@param callback fun(err: lazycelery.Error?, result: any)
---@return fun() cancel
function M.request(method, params, callback)
  return client.request(method, params, callback)
end

--- Follows a feed; it outlives the server. The callback gets `{ result }`, `{ error }` or `{ lost }`.
---@param method string
---@param params table?
---@param callback fun(event: lazycelery.FeedEvent)
---@return fun() stop
function M.subscribe(method, params, callback)
  return client.subscribe(method, params or {}, callback).stop
end

--- What the cursor is on in a view of ours.
---@return { environment: string, noun: string, key: string? }?
function M.row()
  local views = require("lazycelery.view")
  local view = views.get()
  if not view then
    return nil
  end
  local row = views.row(view)
  return {
    environment = views.environment(view) or "",
    noun = view.def.noun,
    key = row and view.def.identity(row) or view.id.key,
  }
end

--- The server and the environments, as far as they are known.
---@return { phase: lazycelery.Phase, reason: string?, environments: lazycelery.EnvironmentRow[] }
function M.status()
  local phase, reason = client.phase()
  return {
    phase = phase,
    reason = reason,
    environments = vim.tbl_map(environment.get, environment.names()),
  }
end

--- A text for statusline plugins: the view's environment, else the first.
---@return string
function M.statusline()
  local view = require("lazycelery.view").get()
  local name = view and view.id.environment or environment.names()[1]
  return name and require("lazycelery.statusline").brief(name) or ""
end

return M
