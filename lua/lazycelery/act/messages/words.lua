--- A plan for queues, and what came of it, in words. Pure.
local detail = require("lazycelery.detail")
local format = require("lazycelery.format")
local ids = require("lazycelery.act.messages.ids")

local M = {}

--- Steps that say the same: where messages are and where they go, whichever file they are in.
---@param steps lazycelery.Step[]
---@return lazycelery.Step[]
local function merged(steps)
  local found, by_name = {}, {}
  for _, step in ipairs(steps) do
    local name = table.concat({ step.kind, step.queue, step.to or "" }, "\0")
    local known = by_name[name]
    if known then
      vim.list_extend(known.messages, step.messages)
    else
      known = vim.tbl_extend("force", step, { messages = vim.list_extend({}, step.messages) })
      by_name[name] = known
      found[#found + 1] = known
    end
  end
  return found
end

---@type table<string, fun(step: lazycelery.Step, count: string): string>
local doing = {
  delete = function(step, count)
    return ("delete %s of %s"):format(count, step.queue)
  end,
  move = function(step, count)
    return ("move %s from %s to %s"):format(count, step.queue, step.to)
  end,
  restore = function(step, count)
    return ("put %s back into %s"):format(count, step.to or step.queue)
  end,
}

---@type table<string, fun(step: lazycelery.Step, count: string): string>
local did = {
  delete = function(step, count)
    return ("deleted %s of %s"):format(count, step.queue)
  end,
  move = function(step, count)
    return ("moved %s from %s to %s"):format(count, step.queue, step.to)
  end,
  restore = doing.restore,
}

---@param steps lazycelery.Step[]
---@param verbs table<string, fun(step: lazycelery.Step, count: string): string>
---@return string
local function list(steps, verbs)
  return table.concat(
    vim.tbl_map(function(step)
      return verbs[step.kind](step, format.count(#step.messages))
    end, merged(steps)),
    ", "
  )
end

--- `delete 3 of celery, move 2 from celery to high`
---@param steps lazycelery.Step[]
---@return string
function M.intent(steps)
  return list(steps, doing)
end

---@param message lazycelery.Message
---@return lazycelery.Chunk[]
local function describe(message)
  local row = message.row
  local kwargs = row.kwargs and row.kwargs ~= "{}" and " " .. row.kwargs or ""
  return {
    { row.name or "(undecodable)", row.name and "LazyCeleryName" or "LazyCeleryWarn" },
    { "  " .. (row.uuid or ids.name(message)):sub(1, 8), "LazyCeleryDim" },
    { "  " .. (row.args or "") .. kwargs },
  }
end

---@param step lazycelery.Step
---@return string
local function heading(step)
  local text = doing[step.kind](step, format.count(#step.messages))
  if step.to then
    text = text .. ", behind what waits there"
  end
  return (text:gsub("^%l", string.upper))
end

--- What is to be known before it is done.
---@param plan lazycelery.QueuePlan
---@return string[]
local function remarks(plan)
  local found, twins, does = {}, 0, {}
  for _, step in ipairs(plan.steps) do
    does[step.kind] = true
    for _, message in ipairs(step.messages) do
      twins = twins + (ids.has_twin(message) and 1 or 0)
    end
  end
  for _, page in ipairs(plan.emptied) do
    local more = page.more or 0
    local rest = more > 0 and ("; %s more wait there, and stay"):format(format.count(more)) or ""
    table.insert(
      found,
      ("Every message of %s that was shown leaves it%s."):format(page.queue, rest)
    )
  end
  if plan.away > 0 then
    local were = plan.away == 1 and "1 was" or format.count(plan.away) .. " were"
    table.insert(found, were .. " not there at the last look: what is gone is missed.")
  end
  if does.delete then
    table.insert(found, "Whoever waits for the result of a deleted message is never told.")
  end
  if twins > 0 then
    local whose = twins == 1 and "1 has a twin" or format.count(twins) .. " have twins"
    table.insert(found, whose .. " of the very same bytes: which of them is meant cannot be told.")
  end
  for _, queue in ipairs(plan.reordered) do
    table.insert(found, ("The order of lines of %s changes nothing in the queue."):format(queue))
  end
  if plan.gone > 0 then
    local which = format.plural(plan.gone, "line")
    table.insert(found, which .. " of messages that are gone: nothing is done about them.")
  end
  if does.delete or does.move then
    table.insert(found, "Each is saved first: u and :w bring it back.")
  end
  if does.restore then
    table.insert(found, "What goes back is as it was, at the end of its queue it was nearer to.")
  end
  return found
end

--- The plan, message by message.
---@param plan lazycelery.QueuePlan
---@param width integer
---@return lazycelery.Page
function M.sheet(plan, width)
  local page = detail.page(width)
  for _, step in ipairs(merged(plan.steps)) do
    page:head({ { heading(step), "LazyCeleryTitle" } })
    for _, message in ipairs(step.messages) do
      page:line(describe(message))
    end
  end
  for _, remark in ipairs(remarks(plan)) do
    page:head({ { remark, "LazyCeleryDim" } })
  end
  return page
end

--- Steps again, of those messages whose fate was this one.
---@param fates lazycelery.Fate[]
---@param what string
---@return lazycelery.Step[]
local function steps_of(fates, what)
  local steps, known = {}, {}
  for _, fate in ipairs(fates) do
    if fate.what == what then
      local step = known[fate.step]
      if not step then
        step = vim.tbl_extend("force", fate.step, { messages = {} })
        known[fate.step] = step
        steps[#steps + 1] = step
      end
      table.insert(step.messages, fate.message)
    end
  end
  return steps
end

---@param fates lazycelery.Fate[]
---@param what string
---@return integer
local function count(fates, what)
  return #vim.tbl_filter(function(fate)
    return fate.what == what
  end, fates)
end

--- Why messages had this fate: each reason once.
---@param fates lazycelery.Fate[]
---@param what string
---@return string
local function reasons(fates, what)
  local found = {}
  for _, fate in ipairs(fates) do
    if fate.what == what and fate.reason and not vim.list_contains(found, fate.reason) then
      found[#found + 1] = fate.reason
    end
  end
  return table.concat(found, "; ")
end

--- What came of it, in a sentence.
---@param fates lazycelery.Fate[]
---@return string
---@return boolean all of it was done
function M.outcome(fates)
  local parts = {}
  local function add(number, text)
    if number > 0 then
      parts[#parts + 1] = ("%s %s %s"):format(
        format.count(number),
        number == 1 and "was" or "were",
        text
      )
    end
  end
  local done = list(steps_of(fates, "done"), did)
  parts[1] = done ~= "" and done or "Nothing was done"
  add(count(fates, "taken"), "missed: " .. reasons(fates, "taken"))
  add(count(fates, "refused"), "left alone: " .. reasons(fates, "refused"))
  add(count(fates, "left"), "not reached; :w goes on")
  local unknown = count(fates, "unknown")
  if unknown > 0 then
    parts[#parts + 1] = ("what became of %s is not known"):format(format.count(unknown))
  end
  return (table.concat(parts, "; "):gsub("^%l", string.upper)), #parts == 1 and done ~= ""
end

local fate_words = {
  done = { "done", "LazyCeleryOk" },
  taken = { "missed", "LazyCeleryWarn" },
  refused = { "left alone", "LazyCeleryWarn" },
  left = { "not reached", "LazyCeleryWarn" },
  unknown = { "not known", "LazyCeleryError" },
}

--- What became of each, for the buffer that lists it: what was not done first.
---@param fates lazycelery.Fate[]
---@param warnings string[]
---@param width integer
---@return lazycelery.Page
function M.list(fates, warnings, width)
  local page = detail.page(width)
  page:head({ { (M.outcome(fates)), "LazyCeleryTitle" } })
  for _, warning in ipairs(warnings) do
    page:head({ { warning, "LazyCeleryWarn" } })
  end
  for _, done in ipairs({ false, true }) do
    for _, fate in ipairs(fates) do
      if (fate.what == "done") == done then
        local word = fate_words[fate.what]
        local chunks = { { ("%-12s"):format(word[1]), word[2] } }
        vim.list_extend(chunks, { { ("%-8s"):format(fate.step.kind), "LazyCeleryDim" } })
        vim.list_extend(chunks, describe(fate.message))
        table.insert(chunks, fate.reason and { "  " .. fate.reason, "LazyCeleryDim" } or nil)
        page:line(chunks, { tasks = { fate.message.row.uuid } }, 1)
      end
    end
  end
  return page
end

return M
