--- Carries a plan for queues out, step by step, and notes in ids and drafts what became of each message.
local draft = require("lazycelery.act.messages.draft")
local fate = require("lazycelery.act.messages.fate")
local ids = require("lazycelery.act.messages.ids")
local job = require("lazycelery.act.job")
local undo = require("lazycelery.act.undo")
local undone = require("lazycelery.act.messages.undone")

local M = {}

---@class lazycelery.Carried
---@field fates lazycelery.Fate[]
---@field warnings string[]
---@field err? lazycelery.Error what ended it early
---@field unknown? lazycelery.Message the first of those of which nobody knows what became of them
---@field removals lazycelery.Removal[] what `:LazyCelery undo` takes back

---@param step lazycelery.Step
---@return string method
---@return table params
---@return string title
local function request(step)
  if step.kind == "restore" then
    local names = vim.tbl_map(function(message)
      return assert(message.saved).name
    end, step.messages)
    local params = { saved_as = step.saved_as, keys = names, to = step.to }
    return "queue/restore", params, "Putting messages back"
  end
  local params = { queue = step.queue, keys = vim.tbl_map(ids.name, step.messages), to = step.to }
  if step.kind == "move" then
    return "queue/move_messages", params, "Moving messages"
  end
  return "queue/delete_messages", params, "Deleting messages"
end

--- Tells buffers that a message is in another place now.
---@param message lazycelery.Message
---@param from? string
---@param to? string
---@param moved? boolean
local function shift(message, from, to, moved)
  local before = from and draft.find(message.environment, from)
  local after = to and draft.find(message.environment, to)
  if before then
    draft.remove(before, message.id)
  end
  if after then
    draft.add(after, message.id, moved)
  end
end

--- A message went back to where it was moved from: so does its line, in the buffer where `u` was not
--- pressed.
---@param message lazycelery.Message
---@param from string the queue that it left
local function agree(message, from)
  for queue, wanted in pairs({ [from] = false, [message.queue] = true }) do
    local view = draft.find(message.environment, queue)
    if view and draft.is_held(view) then
      undone.line_up(view, message, wanted)
    end
  end
end

---@param one lazycelery.Fate
---@param saved_as? string
local function note(one, saved_as)
  local message, step = one.message, one.step
  local from = message.where == "queue" and message.queue or nil
  if one.what == "taken" then
    ids.lost(message, one.reason)
    return shift(message, from, nil)
  elseif one.what ~= "done" then
    return
  elseif step.kind ~= "restore" then
    ids.took(message, assert(saved_as, "what was removed was saved"), step.to)
  end
  if step.kind == "restore" and not step.to then
    ids.put_back(message)
  elseif step.to then
    ids.put(message, step.to)
  end
  shift(message, from, step.kind ~= "delete" and message.queue or nil, step.kind == "move")
  if step.kind == "restore" and from then
    agree(message, from)
  end
end

--- Messages of steps that were not reached, and of the one at which it ended.
---@param carried lazycelery.Carried
---@param steps lazycelery.Step[]
---@param number integer
---@param err lazycelery.Error
local function end_early(carried, steps, number, err)
  carried.err = err
  local unknown = err.data and err.data.kind == "unsure" and steps[number]
  carried.unknown = unknown and unknown.messages[1] or nil
  for i = number, #steps do
    local step = steps[i]
    local what = step == unknown and "unknown" or "left"
    vim.list_extend(carried.fates, fate.all(step, what, i == number and err.message or nil))
  end
end

---@param carried lazycelery.Carried
---@param step lazycelery.Step
---@param answer table
local function take(carried, step, answer)
  local fates = fate.of(step, answer)
  for _, one in ipairs(fates) do
    note(one, answer.saved_as)
  end
  vim.list_extend(carried.fates, fates)
  if step.kind ~= "restore" and answer.saved_as then
    local removal = { saved_as = answer.saved_as, queue = step.queue, to = step.to }
    table.insert(carried.removals, removal)
  end
  for _, warning in ipairs(answer.warnings or {}) do
    table.insert(carried.warnings, warning.text)
  end
end

--- Does one step after the other; the first that fails ends it.
---@param view lazycelery.View
---@param steps lazycelery.Step[]
---@param done fun(carried: lazycelery.Carried)
function M.out(view, steps, done)
  local carried = { fates = {}, warnings = {}, removals = {} } ---@type lazycelery.Carried
  local function finish()
    undo.push(view.id.environment, carried.removals)
    done(carried)
  end
  local function go(number)
    local step = steps[number]
    if not step then
      return finish()
    end
    local method, params, title = request(step)
    local options = { title = title, view = view }
    job.run(view.id.environment, method, params, options, function(err, answer)
      if not err then
        take(carried, step, answer)
        if not answer.cancelled then
          return go(number + 1)
        end
      end
      local stopped = { code = 0, message = "it was stopped" }
      end_early(carried, steps, err and number or number + 1, err or stopped)
      finish()
    end)
  end
  go(1)
end

return M
