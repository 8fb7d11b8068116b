--- Turning task events on and off, for all workers.
local ask = require("lazycelery.act.ask")
local format = require("lazycelery.format")
local guard = require("lazycelery.act.guard")
local job = require("lazycelery.act.job")
local outcome = require("lazycelery.act.outcome")

local M = {}

---@param on boolean
---@return string
local function word(on)
  return on and "on" or "off"
end

--- Sends it, and says what came of it.
---@param view lazycelery.Asker
---@param on boolean
local function set(view, on)
  local method = on and "enable_events" or "disable_events"
  local title = ("Turning task events %s"):format(word(on))
  job.run(
    view.id.environment,
    "worker/control",
    { method = method },
    { title = title, view = view },
    function(err, result)
      if err then
        return outcome.failed(err)
      end
      outcome.say(("Task events %s: %s"):format(word(on), (outcome.workers(result))))
    end
  )
end

--- Workers that could be told.
---@class lazycelery.Census
---@field all integer
---@field on integer of which it is known that they send task events
---@field off integer of which it is known that they do not

---@param rows table[]
---@return lazycelery.Census
local function census(rows)
  local counts = { all = 0, on = 0, off = 0 }
  for _, row in ipairs(rows) do
    if row.status == "online" or row.status == "silent" or row.status == "unknown" then
      counts.all = counts.all + 1
      if row.events == "on" or row.events == "off" then
        counts[row.events] = counts[row.events] + 1
      end
    end
  end
  return counts
end

--- What was counted, asked about; where nothing is to be done, that is said.
---@param view lazycelery.Asker
---@param press lazycelery.Press
---@param counts lazycelery.Census
---@param on? boolean
local function question(view, press, counts, on)
  local name = view.id.environment
  if on == nil then
    on = counts.on < counts.all
  end
  local left = counts.all - (on and counts.on or counts.off)
  if counts.all == 0 then
    return outcome.say(("lazycelery: no worker is online on %s"):format(name), vim.log.levels.WARN)
  elseif left == 0 then
    local already = "lazycelery: task events are %s already, for every worker of %s"
    return outcome.say(already:format(word(on), name))
  end
  local whom = format.plural(left, "worker")
  ask.question(view, {
    press = press,
    prompt = ("Task events %s?"):format(word(on)),
    yes = ("Yes, turn task events %s: %s of %s"):format(word(on), whom, name),
  }, function()
    set(view, on)
  end)
end

--- Looks at the workers, then asks.
---@param view lazycelery.Asker
---@param press lazycelery.Press
---@param on? boolean default: on, unless every worker sends them already
function M.turn(view, press, on)
  local name = view.id.environment
  if guard.refused(name) then
    return
  elseif press.bang and on ~= nil then
    return set(view, on)
  end
  local options = { title = "Looking at the workers", view = view }
  job.look(name, "worker/list", { limit = 1000 }, options, function(result)
    question(view, press, census(result.rows), on)
  end)
end

---@type table<string, lazycelery.Action>
M.actions = {
  events = {
    description = "task events on or off, for all workers",
    run = function(view, press)
      M.turn(view, press)
    end,
  },
}

return M
