--- What became of the messages of a step, by what the server answered. Pure.
local ids = require("lazycelery.act.messages.ids")

local M = {}

--- `done`; `taken`: it was not there; `refused`: it was left alone; `left`: it was not reached.
---@class lazycelery.Fate
---@field message lazycelery.Message
---@field step lazycelery.Step
---@field what "done"|"taken"|"refused"|"left"|"unknown"
---@field reason? string

--- Things told of messages, to be taken one by one: two messages may go by one name.
---@class lazycelery.Told
---@field private by_name table<string, string[]>
local Told = {}
Told.__index = Told

---@generic T
---@param list T[]?
---@param names fun(item: T): string[]
---@param reason fun(item: T): string
---@return lazycelery.Told
local function told(list, names, reason)
  local by_name = {}
  for _, item in ipairs(list or {}) do
    for _, name in ipairs(names(item)) do
      by_name[name] = by_name[name] or {}
      table.insert(by_name[name], reason(item))
    end
  end
  return setmetatable({ by_name = by_name }, Told)
end

--- What was told of a message under one of its names, if so.
---@param names string[]
---@return string?
function Told:take(names)
  for _, name in ipairs(names) do
    local reasons = self.by_name[name]
    if reasons and #reasons > 0 then
      return table.remove(reasons)
    end
  end
end

--- How the server calls a message in an answer about its queue: by its uuid, else by its tag or its bytes.
---@param message lazycelery.Message
---@return string
local function label(message)
  local row = message.row
  return row.uuid or row.delivery_tag or (row.key:gsub("#%d+$", ""))
end

---@param step lazycelery.Step
---@param answer { done: string[], missed: table[], refused: table[]? }
---@return lazycelery.Fate[]
local function of_picked(step, answer)
  local function reason(item)
    return item.reason
  end
  local missed = told(answer.missed, function(item)
    return { item.key or item.uuid }
  end, reason)
  local refused = told(answer.refused, function(item)
    return { item.uuid }
  end, reason)
  local done = told(answer.done, function(name)
    return { name }
  end, function()
    return "done"
  end)
  local fates, others = {}, {}
  for i, message in ipairs(step.messages) do
    -- Misses go by the name that was asked for, which no two share; the rest by what may stand twice.
    local why = missed:take({ ids.name(message) })
    if why then
      fates[i] = { message = message, step = step, what = "taken", reason = why }
    else
      others[#others + 1] = i
    end
  end
  for _, i in ipairs(others) do
    local message = step.messages[i] --[[@as lazycelery.Message]]
    local fate = { message = message, step = step, what = "left" }
    local names = { label(message) }
    if done:take(names) then
      fate.what = "done"
    else
      fate.reason = refused:take(names)
      fate.what = fate.reason and "refused" or "left"
      local taken = not fate.reason and missed:take(names)
      if taken then
        fate.what, fate.reason = "taken", taken
      end
    end
    fates[i] = fate
  end
  return fates
end

---@param step lazycelery.Step
---@param answer { restored: integer, skipped: table[], cancelled: boolean? }
---@return lazycelery.Fate[]
local function of_restored(step, answer)
  local skipped = told(answer.skipped, function(item)
    return { item.key or item.uuid }
  end, function(item)
    return item.reason
  end)
  local fates, rest = {}, {}
  for i, message in ipairs(step.messages) do
    local why = skipped:take({ assert(message.saved).name, message.row.uuid })
    fates[i] = { message = message, step = step, what = why and "taken" or "done", reason = why }
    rest[#rest + 1] = not why and i or nil
  end
  -- Stopped half-way, it does not say which: they are put back in the order in which they were saved,
  -- which is not known here.
  for _, i in ipairs(answer.restored < #rest and rest or {}) do
    fates[i].what = answer.restored == 0 and "left" or "unknown"
  end
  return fates
end

---@param step lazycelery.Step
---@param answer table
---@return lazycelery.Fate[]
function M.of(step, answer)
  return step.kind == "restore" and of_restored(step, answer) or of_picked(step, answer)
end

--- Of a step that was not answered, or not even begun.
---@param step lazycelery.Step
---@param what "left"|"unknown"
---@param reason? string
---@return lazycelery.Fate[]
function M.all(step, what, reason)
  return vim.tbl_map(function(message)
    return { message = message, step = step, what = what, reason = reason }
  end, step.messages)
end

return M
