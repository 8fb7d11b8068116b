--- `:w` in a queue's buffer: one plan for all buffers of queues of its environment, asked about once,
--- carried out, and told as it was.
local ask = require("lazycelery.act.ask")
local carry = require("lazycelery.act.messages.carry")
local draft = require("lazycelery.act.messages.draft")
local follow = require("lazycelery.follow")
local guard = require("lazycelery.act.guard")
local news = require("lazycelery.act.messages.news")
local objections = require("lazycelery.act.messages.objections")
local outcome = require("lazycelery.act.outcome")
local text = require("lazycelery.text")
local undone = require("lazycelery.act.messages.undone")
local words = require("lazycelery.act.messages.words")
local write = require("lazycelery.act.write")

local M = {}

--- The writes of an environment.
---@class lazycelery.QueueWrites
---@field busy boolean one is being carried out
---@field joined boolean a buffer waits for the write of another
---@field told? string what the last one did, and when
---@field unsure? string uuid of the first message of which it is not known what became of it

local writes = {} ---@type table<string, lazycelery.QueueWrites>

---@param environment string
---@return lazycelery.QueueWrites
local function of(environment)
  writes[environment] = writes[environment] or { busy = false, joined = false }
  return writes[environment]
end

--- Cells at the end of the message line that stay free, so that nobody is asked to press a key.
local SPARE_CELLS = 12

--- Says something on one line.
---@param sentence string
---@param level? integer
---@return boolean whole
local function say(sentence, level)
  local line = text.cut(sentence, math.max(20, vim.o.columns - SPARE_CELLS))
  outcome.say(line, level)
  return line == sentence
end

---@param sentence string
---@return boolean whole
local function warn(sentence)
  return say("lazycelery: " .. sentence, vim.log.levels.WARN)
end

--- The text of a queue's buffer was changed by the user.
---@param view lazycelery.View
function M.changed(view)
  if not draft.is_held(view) then
    return
  end
  draft.changed(view)
  -- Not before a write: a line that was put is often deleted next where it was yanked.
  if objections.any(draft.all(view.id.environment)) then
    objections.show(draft.plan(view.id.environment))
  end
end

--- What there is to say where nothing is to be written.
---@param environment string
---@param plan lazycelery.QueuePlan
local function nothing(environment, plan)
  local told = of(environment).told
  if told then
    say("Nothing to write. " .. told)
  elseif plan.reordered[1] then
    outcome.say("Nothing to write: the order of lines changes nothing in a queue")
  else
    outcome.say("Nothing to write")
  end
end

--- Brings all buffers up to what was done; what was asked before is of no use.
---@param environment string
local function catch_up(environment)
  for _, view in ipairs(draft.all(environment)) do
    draft.settle(view)
    if draft.is_held(view) then
      draft.news(view)
      news.mark(view)
    end
    follow.update(view, {})
  end
end

--- Nobody knows what became of it: the next write says so, too.
---@param environment string
---@param carried lazycelery.Carried
local function tell_unknown(environment, carried)
  local first = assert(carried.unknown)
  local name, reason = first.row.uuid or first.row.key, assert(carried.err).message
  of(environment).unsure = name
  warn(("not known what became of %s and after: %s"):format(name:sub(1, 8), reason))
end

---@param view lazycelery.View
---@param carried lazycelery.Carried
---@param leave? lazycelery.Leave
local function tell(view, carried, leave)
  local environment = view.id.environment
  local sentence, all = words.outcome(carried.fates)
  of(environment).told = ("At %s: %s"):format(os.date("%H:%M:%S"), sentence)
  of(environment).unsure = nil
  for _, one in ipairs(draft.all(environment)) do
    undone.wrote(one)
  end
  catch_up(environment)
  if carried.unknown then
    return tell_unknown(environment, carried)
  end
  local whole ---@type boolean
  if all then
    local removed = carried.fates[#carried.fates].step.kind ~= "restore"
    local advice = sentence .. (removed and "; u and :w undo it" or "")
    whole = say(text.width(advice) > vim.o.columns - SPARE_CELLS and sentence or advice)
  else
    whole = warn(sentence .. (carried.err and ": " .. carried.err.message or ""))
  end
  if not whole or (#carried.fates > 1 and not all) or #carried.warnings > 0 then
    outcome.list(view, words.list(carried.fates, carried.warnings, vim.o.columns))
  elseif leave and all and vim.api.nvim_get_current_buf() == view.buf then
    write.leave(leave)
  end
end

--- What tells whether lines were changed by the user while a question was open.
---@param views lazycelery.View[]
---@return table<integer, integer>
local function ticks(views)
  local found = {}
  for _, view in ipairs(vim.tbl_filter(draft.is_held, views)) do
    found[view.buf] = vim.api.nvim_buf_get_changedtick(view.buf)
  end
  return found
end

--- The queues that a plan deletes messages of: in production they are to be typed.
---@param plan lazycelery.QueuePlan
---@return string?
local function destroyed(plan)
  local queues = {}
  for _, step in ipairs(plan.steps) do
    table.insert(queues, step.kind == "delete" and step.queue or nil)
  end
  return queues[1] and table.concat(queues, " ") or nil
end

---@param view lazycelery.View
---@param plan lazycelery.QueuePlan
---@param views lazycelery.View[]
---@param press lazycelery.Press
---@param leave? lazycelery.Leave
local function question(view, plan, views, press, leave)
  local environment, asked_at = view.id.environment, ticks(views)
  local state, sheet = of(environment), words.sheet(plan, vim.o.columns):picture()
  local unsure = state.unsure and ("%s may be done already. Again?"):format(state.unsure:sub(1, 8))
  ask.question(view, {
    press = press,
    prompt = unsure or "Change queues?",
    yes = ("Yes, %s on %s"):format(words.intent(plan.steps), environment),
    preview = { lines = sheet.lines, spans = sheet.spans },
    typed = destroyed(plan),
  }, function()
    if vim.deep_equal(ticks(views), asked_at) then
      state.busy = true
      carry.out(view, plan.steps, function(carried)
        state.busy = false
        tell(view, carried, leave)
      end)
    else
      warn("lines were changed meanwhile: nothing was written; :w asks anew")
    end
  end)
end

--- Writes all buffers of queues of this one's environment.
---@param view lazycelery.View
---@param press lazycelery.Press
---@param leave? lazycelery.Leave
function M.write(view, press, leave)
  local environment = view.id.environment
  local state = of(environment)
  state.joined = false
  if state.busy then
    return warn("the last write is still being carried out; <C-c> stops it")
  elseif not draft.is_drawn(view) then
    return warn(("%s is not loaded yet: nothing was written; :e! loads it"):format(view.id.key))
  elseif guard.refused(environment) then
    return
  end
  local plan, views = draft.plan(environment)
  objections.show(plan, views)
  if plan.objections[1] then
    warn(objections.sentence(plan, views))
  elseif plan.steps[1] then
    question(view, plan, views, press, leave)
  else
    catch_up(environment)
    nothing(environment, plan)
  end
end

--- Another buffer is written along with this one, by one command: there is one plan of all. Where this
--- one itself is not written, having nothing new, it stands for them.
---@param view lazycelery.View
---@param press lazycelery.Press
---@param leave? lazycelery.Leave
function M.join(view, press, leave)
  local state = of(view.id.environment)
  state.joined = true
  -- After the write of the buffer itself, wherever in the line that comes.
  vim.schedule(function()
    vim.schedule(function()
      if state.joined then
        M.write(view, press, leave)
      end
    end)
  end)
end

return M
