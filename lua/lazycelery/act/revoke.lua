--- Revoking tasks, and ending those that run. Workers are told; whether a task does not run is seen by
--- its state.
local ask = require("lazycelery.act.ask")
local format = require("lazycelery.format")
local job = require("lazycelery.act.job")
local outcome = require("lazycelery.act.outcome")
local subject = require("lazycelery.act.subject")
local text = require("lazycelery.text")

local M = {}

local METHOD = "task/revoke"

--- Signals of `terminate`, and what each does to a pool's process.
local signals = {
  { "SIGTERM", "its process ends" },
  { "SIGKILL", "its process ends at once" },
  { "SIGINT", "its process ends as on Ctrl-C" },
  { "SIGQUIT", "its process ends with a core dump" },
  { "SIGUSR1", "SoftTimeLimitExceeded in what its process runs by then" },
}

---@class lazycelery.RevokeAnswer
---@field revoked string[]
---@field replies table<string, table>
---@field missing string[]
---@field unnamed? integer
---@field refused? lazycelery.Refused[]
---@field warnings? lazycelery.Warning[]
---@field cancelled? boolean

---@param result lazycelery.RevokeAnswer
---@param asked integer
---@param signal? string
---@return string
local function sentence(result, asked, signal)
  local done, refused = #result.revoked, result.refused or {}
  if done == 0 and asked == 1 and refused[1] then
    return "Not revoked: " .. refused[1].reason
  end
  local what = done < asked
      and ("%s of %s"):format(format.count(done), format.plural(asked, "task"))
    or asked > 1 and format.plural(done, "task")
    or "the task"
  local workers = outcome.workers(result)
  local parts = { ("Revoked on %s"):format(workers) }
  if signal then
    parts[1] = ("Told to end %s by %s: %s"):format(what, signal, workers)
  elseif asked > 1 then
    parts[1] = ("%s revoked on %s"):format(what, workers)
  end
  if result.cancelled then
    parts[1] = "Stopped: " .. parts[1]
  end
  for _, warning in ipairs(result.warnings or {}) do
    if warning.kind == "no_worker" then
      table.insert(parts, warning.text)
    end
  end
  return table.concat(parts, "; ")
end

---@param view lazycelery.Asker
---@param result lazycelery.RevokeAnswer
---@param asked integer
---@param names table<string, string>
---@param signal? string
local function list(view, result, asked, names, signal)
  local page = subject.page()
  local remarks = {}
  for _, warning in ipairs(result.warnings or {}) do
    if warning.uuid then
      remarks[warning.uuid] = warning.text
    end
  end
  for _, uuid in ipairs(result.revoked) do
    page:head({
      { "✓ ", "LazyCeleryOk" },
      { subject.short(uuid), "LazyCeleryKey" },
      { "  " .. (names[uuid] or ""), "LazyCeleryName" },
      { "  " .. (signal or "revoked"), "LazyCeleryDim" },
      { remarks[uuid] and ("  " .. remarks[uuid]) or "", "LazyCeleryWarn" },
    }, { tasks = { uuid } })
  end
  outcome.left_alone(page, asked - #result.revoked, result.refused or {}, names)
  outcome.list(view, page)
end

---@param view lazycelery.Asker
---@param uuids string[]
---@param names table<string, string>
---@param how? { signal: string?, left: lazycelery.Refused[]? } and what is left alone, as was said
local function run(view, uuids, names, how)
  local signal, left = (how or {}).signal, (how or {}).left or {}
  local params = { uuids = uuids, terminate = signal ~= nil, signal = signal }
  local verb = signal and "Ending" or "Revoking"
  local options = { title = ("%s %s"):format(verb, subject.of(uuids, names)), view = view }
  job.run(view.id.environment, METHOD, params, options, function(err, result)
    if err then
      return outcome.failed(err)
    end
    result.refused = vim.list_extend(result.refused or {}, left)
    local level = #result.revoked == 0 and vim.log.levels.WARN or nil
    local all = #uuids + #left
    outcome.say(sentence(result, all, signal), level)
    if all > 1 then
      list(view, result, all, names, signal)
    end
  end)
end

--- What is to be known before, where there is anything.
---@param plan lazycelery.RevokeAnswer
---@param names table<string, string>
---@return lazycelery.Sheet?
local function sheet(plan, names)
  local warnings, refused = plan.warnings or {}, plan.refused or {}
  if #warnings + #refused == 0 then
    return nil
  end
  local page = subject.page()
  local one = #plan.revoked == 1
  page:head({ { subject.of(plan.revoked, names), "LazyCeleryName" } })
  subject.remarks(page, warnings, "LazyCeleryWarn", one)
  if #refused > 0 then
    page:head({ { ("%s left alone"):format(format.plural(#refused, "task")) } })
    subject.remarks(page, refused, "LazyCeleryDim")
  end
  return subject.sheet(page)
end

--- What is said in a revoke's answer of one that runs.
---@param plan lazycelery.RevokeAnswer
---@param kind string
---@return boolean
local function warned(plan, kind)
  for _, warning in ipairs(plan.warnings or {}) do
    if warning.kind == kind then
      return true
    end
  end
  return false
end

--- Looks at what would come of it.
---@param view lazycelery.Asker
---@param found lazycelery.Chosen
---@param terminate boolean
---@param done fun(plan: lazycelery.RevokeAnswer)
local function look(view, found, terminate, done)
  local params = { uuids = found.uuids, filter = found.filter, terminate = terminate }
  local options = { title = "Looking at what would be revoked", view = view }
  job.preview(view.id.environment, METHOD, params, options, function(plan)
    if #plan.revoked > 0 then
      return done(plan)
    elseif #(plan.refused or {}) > 1 then
      local none = "None of %s can be revoked"
      outcome.say(none:format(format.plural(#plan.refused, "task")), vim.log.levels.WARN)
      return list(view, plan, #plan.refused, found.names)
    elseif #(plan.refused or {}) == 0 then
      return outcome.say("No task matches any more", vim.log.levels.WARN)
    end
    outcome.say(sentence(plan, 1), vim.log.levels.WARN)
  end)
end

--- Asks, and revokes.
---@param view lazycelery.Asker
---@param press lazycelery.Press
---@param found lazycelery.Chosen
function M.ask(view, press, found)
  local names = found.names
  if press.bang and found.uuids then
    return run(view, found.uuids, names)
  end
  look(view, found, false, function(plan)
    local whom = subject.of(plan.revoked, names)
    local still = #plan.revoked == 1 and warned(plan, "running")
    ask.question(view, {
      press = press,
      prompt = #plan.revoked == 1 and "Revoke this task?" or ("Revoke %s?"):format(whom),
      yes = ("Yes, revoke %s on %s%s"):format(
        whom,
        view.id.environment,
        still and ", which goes on" or ""
      ),
      preview = sheet(plan, names),
    }, function()
      run(view, plan.revoked, names, { left = plan.refused })
    end)
  end)
end

--- The name to be typed in production.
---@param view lazycelery.Asker
---@param plan lazycelery.RevokeAnswer
---@param names table<string, string>
---@return string
local function typed(view, plan, names)
  if #plan.revoked > 1 then
    return view.id.environment
  end
  return text.clean(names[plan.revoked[1]] or plan.revoked[1])
end

--- Asks by which signal, and ends what runs.
---@param view lazycelery.Asker
---@param press lazycelery.Press
---@param found lazycelery.Chosen
function M.terminate(view, press, found)
  local names = found.names
  look(view, found, true, function(plan)
    local whom = subject.of(plan.revoked, names)
    local answers = {}
    for _, one in ipairs(signals) do
      local words = #answers == 0 and ("Yes, end %s: %s, %s"):format(whom, one[1], one[2])
        or ("Yes, by %s: %s"):format(one[1], one[2])
      table.insert(answers, {
        words,
        function()
          run(view, plan.revoked, names, { signal = one[1], left = plan.refused })
        end,
      })
    end
    local first = table.remove(answers, 1)
    ask.question(view, {
      press = press,
      prompt = #plan.revoked == 1 and "End this task, by which signal?"
        or ("End %s, by which signal?"):format(whom),
      yes = first[1],
      more = answers,
      preview = sheet(plan, names),
      typed = typed(view, plan, names),
    }, first[2])
  end)
end

return M
