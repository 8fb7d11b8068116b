--- Calls that change a cluster: shown while they run, stopped by `<C-c>`, never given up while they go
--- on. The server does them as jobs: what was begun goes on there, whatever becomes of us.
local client = require("lazycelery.client")
local guard = require("lazycelery.act.guard")
local running = require("lazycelery.act.running")
local tell = require("lazycelery.tell")

local M = {}

--- How long nothing may be heard: until the job begins, and from then on before it is asked for.
M.BEGIN_MS, M.SILENT_MS = 30000, 8000

--- How long a look at what would be done may take: it may ask for each of thousands of tasks.
local LOOK_S = 120

---@class lazycelery.JobOptions
---@field title string what goes on: `Retrying tasks`
---@field view? lazycelery.Asker where `<C-c>` stops it
---@field declined? fun() a lock forbids it, and is to stay: nothing was done

---@class lazycelery.Job
---@field heard integer when it was heard of last
---@field over boolean
---@field id? string

---@param reason string
---@return lazycelery.Error
local function unknown(reason)
  local message = reason .. ": whether all of it was done is not known"
  return { code = 0, message = message, data = { kind = "unsure" } }
end

--- Looks after a job that is silent: a slow one says so when it is asked, an answer that was lost on
--- its way is fetched.
---@param job lazycelery.Job
---@param finish fun(err: lazycelery.Error?, result: any)
local function watch(job, finish)
  vim.defer_fn(function()
    local patience = job.id and M.SILENT_MS or M.BEGIN_MS
    if job.over then
      return
    elseif vim.uv.now() - job.heard < patience then
      return watch(job, finish)
    elseif not job.id then
      return finish(unknown(("no answer within %d s"):format(M.BEGIN_MS / 1000)))
    end
    client.request("job/get", { job = job.id }, function(err, row)
      if job.over then
        return
      elseif err then
        return finish(unknown(err.message))
      elseif row.outcome then
        row.outcome.cancelled = row.status == "cancelled" or nil
        return finish(nil, row.outcome)
      elseif row.error then
        return finish({ code = 0, message = row.error.reason, data = { kind = row.error.kind } })
      end
      job.heard = vim.uv.now()
      watch(job, finish)
    end)
  end, M.SILENT_MS)
end

---@param method string
---@param params table
---@param options lazycelery.JobOptions
---@param done fun(err: lazycelery.Error?, result: any)
local function start(method, params, options, done)
  local job = { heard = vim.uv.now(), over = false } ---@type lazycelery.Job
  local reachable = client.phase() == "ready"
  local asked_to_stop = false
  local function stop()
    client.request("job/cancel", { job = job.id }, function() end)
  end
  local shown = running.new(options.title, options.view, function(self)
    asked_to_stop = true
    self.stopping = true
    if job.id then
      stop()
    end
    return "Stopping; what is in hand is done first"
  end)
  local function finish(err, result)
    if job.over then
      return
    end
    job.over = true
    shown:finish()
    if err and err.data and err.data.kind == "server" and (reachable or job.id) then
      err = unknown(err.message)
    end
    done(err, result)
  end
  client.act(method, params, function(progress)
    job.heard = vim.uv.now()
    if not job.id then
      job.id = progress.job
      if asked_to_stop then
        stop()
      end
    end
    if not job.over then
      shown:report(progress.done, progress.total)
    end
  end, finish)
  watch(job, finish)
end

--- Does something: `done` is called once, with what the method answers. Where a lock forbids it, it
--- is offered to lift that, and to go on.
---@param environment string
---@param method string
---@param params table
---@param options lazycelery.JobOptions
---@param done fun(err: lazycelery.Error?, result: any)
function M.run(environment, method, params, options, done)
  params = vim.tbl_extend("force", params, { environment = environment })
  start(method, params, options, function(err, result)
    guard.answered(options.view, err, function()
      M.run(environment, method, params, options, done)
    end, function()
      done(err, result)
    end, options.declined)
  end)
end

--- Asks for something that changes nothing, shown while it takes long; `<C-c>` gives it up.
---@param options lazycelery.JobOptions
---@param done fun(result: any)
---@param ask fun(shown: lazycelery.Running, answered: fun(err: lazycelery.Error?, result: any)): fun()
local function look(options, done, ask)
  local cancel ---@type fun()
  local shown = running.new(options.title, options.view, function(self)
    cancel()
    self:finish()
    return "Given up; nothing was done"
  end)
  cancel = ask(shown, function(err, result)
    shown:finish()
    if err then
      return tell.of(err.message, vim.log.levels.ERROR)
    end
    done(result)
  end)
end

--- Asks for something that changes nothing: `<C-c>` gives it up.
---@param environment string
---@param method string
---@param params table
---@param options lazycelery.JobOptions
---@param done fun(result: any) a failure is told here, and ends it
function M.look(environment, method, params, options, done)
  params = vim.tbl_extend("force", params, { environment = environment })
  look(options, done, function(_, answered)
    return client.request(method, params, answered, LOOK_S)
  end)
end

--- What an action would do; of thousands of items, how many were looked at is told meanwhile.
---@param environment string
---@param method string
---@param params table
---@param options lazycelery.JobOptions
---@param done fun(result: any) a failure is told here, and ends it
function M.preview(environment, method, params, options, done)
  params = vim.tbl_extend("force", params, { environment = environment, dry_run = true })
  look(options, done, function(shown, answered)
    return client.act(method, params, function(progress)
      shown:report(progress.done, progress.total)
    end, answered, LOOK_S)
  end)
end

return M
