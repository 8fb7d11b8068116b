--- What is forbidden: said, and where only a lock forbids it, the lock is offered to be lifted.
local ask = require("lazycelery.act.ask")
local client = require("lazycelery.client")
local environment = require("lazycelery.environment")
local tell = require("lazycelery.tell")

local M = {}

local MINUTES = 15

--- Lifts the lock, and says for how long.
---@param name string
---@param opened fun()
local function unlock(name, opened)
  local params = { environment = name, minutes = MINUTES }
  client.request("environment/unlock", params, function(err)
    if err then
      return tell.of(err.message, vim.log.levels.ERROR)
    end
    tell.say(("%s is unlocked for %d minutes"):format(name, MINUTES))
    opened()
  end)
end

--- Goes on with an answer, unless it is that a lock forbids it: then asks whether to lift that.
---@param view? lazycelery.Asker
---@param err? lazycelery.Error
---@param again fun() does it once more, unlocked
---@param go_on fun() for every other answer
---@param declined? fun() where the lock is to stay
function M.answered(view, err, again, go_on, declined)
  local name = err and err.data and err.data.locked
  if not name then
    return go_on()
  end
  local yes = ("Yes, unlock %s for %d minutes, and go on"):format(name, MINUTES)
  local prompt = ("%s is production, and locked. Unlock?"):format(name)
  local function opened()
    unlock(name, again)
  end
  ask.choose(view, prompt, { { yes, opened } }, function()
    tell.of(("nothing was done: %s is locked"):format(name), vim.log.levels.WARN)
    if declined then
      declined()
    end
  end)
end

--- Says so where nothing may be changed for good: no question is asked then.
---@param name string
---@return boolean
function M.refused(name)
  local row = environment.get(name)
  if row and row.read_only then
    tell.of(("%s is read-only"):format(name), vim.log.levels.WARN)
    return true
  end
  return false
end

return M
