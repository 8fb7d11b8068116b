--- What the lines of queues' buffers ask for: which messages are deleted, moved, put back, and which
--- lines say nothing that could be done. Pure: from what each buffer last knew and what stands in it now.
local M = {}

--- One queue's buffer.
---@class lazycelery.QueuePage
---@field queue string
---@field base string[] ids of the messages that wait in it, as far as this buffer knows, in order
---@field lines string[]
---@field judged? lazycelery.JudgedLines what they stand for, where that is known
---@field more? integer messages that wait in the queue beyond those that were shown
---@field away? table<string, true> ids of those that the last look at the queue did not find
---@field undone? table<string, true> ids of those that were moved here, and whose lines `u` took away again

---@class lazycelery.Step
---@field kind "move"|"restore"|"delete"
---@field queue string where its messages are; of a restore, where they were
---@field to? string where they go, unless they stay away or go back
---@field saved_as? string the recovery file they are brought back from
---@field messages lazycelery.Message[]
---@field depth integer lines between them and the nearer end of the buffer they come to stand in

---@class lazycelery.Objection
---@field page integer
---@field line integer
---@field text string

---@class lazycelery.QueuePlan
---@field steps lazycelery.Step[] none where there is an objection
---@field objections lazycelery.Objection[]
---@field kept integer messages that stay where they are
---@field gone integer that somebody else took: nothing can be done about them
---@field away integer that are to be moved or deleted, and may be gone
---@field reordered string[] queues whose lines stand in another order: that moves nothing
---@field emptied lazycelery.QueuePage[] of which every message that was shown leaves

--- How lines are read, and what ids mean.
---@class lazycelery.Reading
---@field environment string
---@field read fun(line: string): string?, boolean
---@field get fun(id: string?): lazycelery.Message?

---@class lazycelery.Standing
---@field page integer
---@field line integer

-- Short: one line of the screen tells the queue, the line and this.
local NO_MESSAGE = "no message; u takes it back"
local EDITED = "edited: a message is only deleted or moved"
local UNKNOWN = "a message that is not known here"

--- What a line by itself stands for, and why it cannot be written, if so.
---@param line string
---@param reading lazycelery.Reading
---@return string? id of the message it stands for
---@return string? objection
local function judge_line(line, reading)
  local id, whole = reading.read(line)
  local message = reading.get(id)
  if not id then
    return nil, NO_MESSAGE
  elseif not message then
    return nil, UNKNOWN
  elseif message.environment ~= reading.environment then
    return nil, "a message of " .. message.environment
  end
  return id, not whole and EDITED or nil
end

--- What lines stand for.
---@param lines string[]
---@param reading lazycelery.Reading
---@return lazycelery.JudgedLines
function M.judge(lines, reading)
  local ids, sound = {}, {}
  for i, line in ipairs(lines) do
    ids[i], sound[i] = false, true
    if line:find("%S") then
      local id, objection = judge_line(line, reading)
      ids[i], sound[i] = id or false, objection == nil
    end
  end
  return { ids = ids, sound = sound }
end

--- Where each id stands.
---@param pages lazycelery.QueuePage[]
---@param reading lazycelery.Reading
---@param object fun(at: lazycelery.Standing, text: string) to lines that say nothing
---@return table<string, lazycelery.Standing[]>
local function look(pages, reading, object)
  local standing = {}
  for number, page in ipairs(pages) do
    local judged = page.judged or M.judge(page.lines, reading)
    for i, id in ipairs(judged.ids) do
      local at = { page = number, line = i }
      if not judged.sound[i] then
        local _, objection = judge_line(page.lines[i], reading)
        object(at, objection or NO_MESSAGE)
      end
      if id then
        standing[id] = standing[id] or {}
        table.insert(standing[id], at)
      end
    end
  end
  return standing
end

--- The page that each message waits in, and all messages: those of pages in the order they wait in, then
--- what only stands in lines.
---@param pages lazycelery.QueuePage[]
---@param standing table<string, lazycelery.Standing[]>
---@return table<string, integer> home
---@return string[] ids
local function gather(pages, standing)
  local home, ids, guests = {}, {}, {}
  for number, page in ipairs(pages) do
    for _, id in ipairs(page.base) do
      home[id] = number
      ids[#ids + 1] = id
    end
  end
  for id, found in pairs(standing) do
    if not home[id] then
      guests[#guests + 1] = { id, found[1].page * 1e6 + found[1].line }
    end
  end
  table.sort(guests, function(a, b)
    return a[2] < b[2]
  end)
  for _, guest in ipairs(guests) do
    ids[#ids + 1] = guest[1]
  end
  return home, ids
end

--- Collects messages into steps: one for each kind, place and file.
---@param steps lazycelery.Step[]
---@return fun(kind: string, message: lazycelery.Message, to: string?, depth: integer?)
local function collector(steps)
  local by_name = {}
  return function(kind, message, to, depth)
    local saved = kind == "restore" and message.saved or nil
    local queue = saved and saved.from or message.queue
    local name = table.concat({ kind, queue, to or "", saved and saved.path or "" }, "\0")
    local step = by_name[name]
    if not step then
      local path = saved and saved.path
      step = { kind = kind, queue = queue, to = to, saved_as = path, messages = {}, depth = 0 }
      by_name[name] = step
      steps[#steps + 1] = step
    end
    table.insert(step.messages, message)
    step.depth = math.max(step.depth, depth or 0)
  end
end

--- How a message gets into a queue in which it does not wait: out of another buffer's, or out of a
--- recovery file, which also takes back a move.
---@param message lazycelery.Message
---@param queue string
---@param left boolean it was deleted where it waits
---@return "move"|"restore"|nil kind nil: it cannot be put there
---@return string? to
local function arrival(message, queue, left)
  local back = message.saved ~= nil and message.saved.from == queue
  if message.where == "out" or (left and back) then
    return "restore", not back and queue or nil
  elseif left then
    return "move", queue
  end
end

--- Whether lines that stay stand in another order than their messages wait in.
---@param page lazycelery.QueuePage
---@param number integer
---@param standing table<string, lazycelery.Standing[]>
---@return boolean
local function is_reordered(page, number, standing)
  local line = 0
  for _, id in ipairs(page.base) do
    local found = standing[id] and standing[id][1]
    if found and found.page == number then
      if found.line < line then
        return true
      end
      line = found.line
    end
  end
  return false
end

local ORDER = { move = 1, restore = 2, delete = 3 }

--- What destroys comes last. Messages are put back at the end of their queue that was nearer: those that
--- stood deeper first, then stand all where they stood.
---@param steps lazycelery.Step[]
local function in_order(steps)
  local first = {}
  for i, step in ipairs(steps) do
    first[step] = i
  end
  table.sort(steps, function(a, b)
    if a.kind ~= b.kind then
      return ORDER[a.kind] < ORDER[b.kind]
    elseif a.depth ~= b.depth then
      return a.depth > b.depth
    end
    return first[a] < first[b]
  end)
end

--- What is known while a plan is made.
---@class lazycelery.Planning
---@field pages lazycelery.QueuePage[]
---@field standing table<string, lazycelery.Standing[]>
---@field home table<string, integer>
---@field plan lazycelery.QueuePlan
---@field stays table<integer, true> pages that keep something
---@field add fun(kind: string, message: lazycelery.Message, to: string?, depth: integer?)
---@field object fun(at: lazycelery.Standing, text: string)

--- Of several lines for one message the one at home counts.
---@param work lazycelery.Planning
---@param found lazycelery.Standing[]
---@param from integer?
local function object_to_copies(work, found, from)
  local meant = found[1] --[[@as lazycelery.Standing]]
  for _, at in ipairs(found) do
    meant = at.page == from and meant.page ~= from and at or meant
  end
  local queue = work.pages[meant.page].queue
  local text = "also in %s, line %d: moved, not copied"
  for _, at in ipairs(found) do
    if at ~= meant then
      work.object(at, text:format(queue, meant.line))
    end
  end
end

--- Where a message that we moved stands again, beside its line in the queue it was moved to: `u` in one of
--- the two buffers is enough.
---@param work lazycelery.Planning
---@param message lazycelery.Message
---@param found lazycelery.Standing[]
---@param from integer?
---@return lazycelery.Standing?
local function returned(work, message, found, from)
  local saved = message.saved
  if #found ~= 2 or not from or not saved or saved.to ~= message.queue then
    return nil
  end
  for i, at in ipairs(found) do
    local other = found[3 - i] --[[@as lazycelery.Standing]]
    if other.page == from and work.pages[at.page].queue == saved.from then
      return at
    end
  end
end

--- A message that stands where it does not wait.
---@param work lazycelery.Planning
---@param message lazycelery.Message
---@param at lazycelery.Standing
---@param left boolean
local function bring(work, message, at, left)
  local page = work.pages[at.page]
  local kind, to = arrival(message, page.queue, left)
  if not kind then
    return work.object(at, ("not deleted in %s, so not moved"):format(message.queue))
  end
  work.add(kind, message, to, math.min(at.line - 1, #page.lines - at.line))
end

--- A message that stands nowhere: deleted, unless `u` took back that it was moved.
---@param work lazycelery.Planning
---@param message lazycelery.Message
---@param from integer?
local function remove(work, message, from)
  local undone = from and work.pages[from].undone or {}
  local moved = message.saved ~= nil and message.saved.to == message.queue
  work.add(undone[message.id] and moved and "restore" or "delete", message)
end

---@param work lazycelery.Planning
---@param id string
---@param message lazycelery.Message
local function judge_message(work, id, message)
  local found, from, plan = work.standing[id] or {}, work.home[id], work.plan
  local at, away = found[1], from and work.pages[from].away or {}
  if away[id] and not (at and at.page == from) then
    plan.away = plan.away + 1
  end
  if message.where == "gone" then
    plan.gone = plan.gone + 1
  elseif not at then
    remove(work, message, from)
  elseif found[2] then
    local back = returned(work, message, found, from)
    if back then
      return bring(work, message, back, true)
    end
    object_to_copies(work, found, from)
  elseif at.page == from then
    plan.kept, work.stays[from] = plan.kept + 1, true
  else
    bring(work, message, at, from ~= nil)
  end
end

--- What all buffers of one environment's queues ask for together.
---@param pages lazycelery.QueuePage[]
---@param reading lazycelery.Reading
---@return lazycelery.QueuePlan
function M.make(pages, reading)
  local steps, objections = {}, {} ---@type lazycelery.Step[], lazycelery.Objection[]
  local function object(at, text)
    table.insert(objections, { page = at.page, line = at.line, text = text })
  end
  local standing = look(pages, reading, object)
  local home, ids = gather(pages, standing)
  ---@type lazycelery.QueuePlan
  local plan = {
    steps = steps,
    objections = objections,
    kept = 0,
    gone = 0,
    away = 0,
    reordered = {},
    emptied = {},
  }
  ---@type lazycelery.Planning
  local work = {
    pages = pages,
    standing = standing,
    home = home,
    plan = plan,
    stays = {},
    add = collector(steps),
    object = object,
  }
  for _, id in ipairs(ids) do
    judge_message(work, id, assert(reading.get(id), "an id that was read is known"))
  end
  for number, page in ipairs(pages) do
    table.insert(plan.reordered, is_reordered(page, number, standing) and page.queue or nil)
    table.insert(plan.emptied, page.base[1] and not work.stays[number] and page or nil)
  end
  table.sort(objections, function(one, other)
    return one.page < other.page or (one.page == other.page and one.line < other.line)
  end)
  in_order(steps)
  plan.steps = #objections == 0 and steps or {}
  return plan
end

--- Whether one buffer's lines say something else than it last knew: what `modified` means there.
---@param base string[] ids of what waits there
---@param judged lazycelery.JudgedLines
---@param reading lazycelery.Reading
---@return boolean
function M.differs(base, judged, reading)
  local waiting, left = {}, 0
  for _, id in ipairs(base) do
    local message = reading.get(id)
    if message and message.where ~= "gone" then
      waiting[id], left = true, left + 1
    end
  end
  for i, id in ipairs(judged.ids) do
    if not judged.sound[i] then
      return true
    elseif id and waiting[id] then
      left, waiting[id] = left - 1, nil
    elseif id then
      local message = reading.get(id)
      if not (message and message.where == "gone") then
        return true
      end
    end
  end
  return left > 0
end

return M
