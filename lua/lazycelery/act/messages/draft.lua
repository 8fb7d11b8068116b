--- A queue's buffer between two looks at the queue: what it knows to wait there, and what the user has
--- made of it. As long as nothing in it can be undone it is drawn like any list; from the first change
--- on it is the user's, and what happens in the queue meanwhile is told beside the lines. `:e` lets go.
local align = require("lazycelery.act.messages.align")
local ids = require("lazycelery.act.messages.ids")
local lines = require("lazycelery.act.messages.lines")
local news = require("lazycelery.act.messages.news")
local plan = require("lazycelery.act.messages.plan")
local registry = require("lazycelery.registry")
local undone = require("lazycelery.act.messages.undone")

local M = {}

---@class lazycelery.QueueDraft
---@field drawn boolean it was drawn from an answer: only then do missing lines mean anything
---@field whole boolean all that waited was in it then
---@field base? table<string, true> ids of messages that wait in the queue; until it is asked for, those of
--- the lines that were drawn last
---@field order string[] of these, and of others that waited there since it was drawn
---@field ordered table<string, true> what is in the order
---@field away table<string, true> ids of those that a look at the queue did not find
---@field read? string[] keys of the last look that news were made of, or that is older than the base
---@field floor integer what 'undotree' counted when it was drawn
---@field lines lazycelery.QueueLines
---@field came table<string, true> ids of messages that we moved here
---@field undone table<string, true> those of them whose lines `u` took away
---@field wrote integer what 'undotree' was at when something was carried out last

---@param name string of the environment
---@return lazycelery.Reading
local function reading(name)
  return { environment = name, read = ids.read, get = ids.get }
end

---@param view lazycelery.View
---@return lazycelery.QueueDraft
local function of(view)
  return (assert(view.draft, "a queue's buffer has a draft"))
end

---@param view lazycelery.View
---@return string
function M.queue(view)
  return (assert(view.id.key, "messages are of a queue"))
end

---@param buf integer
---@return integer
local function changes(buf)
  return vim.fn.undotree(buf).seq_last
end

--- What the lines stand for that were drawn last.
---@param view lazycelery.View
---@return lazycelery.JudgedLines
local function as_drawn(view)
  local found = { ids = {}, sound = {} } ---@type lazycelery.JudgedLines
  for i, key in ipairs(view.is_list and view.shown or { "" }) do
    local cell = view.cells[key]
    local message = view.is_list and cell and ids.at(cell.line)
    found.ids[i], found.sound[i] = message and message.id or false, true
  end
  return found
end

--- Nothing was drawn yet.
---@param view lazycelery.View
function M.begin(view)
  local function judge(texts)
    return plan.judge(texts, reading(view.id.environment))
  end
  view.draft = {
    drawn = false,
    whole = false,
    order = {},
    ordered = {},
    floor = changes(view.buf),
    away = {},
    came = {},
    undone = {},
    wrote = 0,
    lines = lines.follow(view.buf, judge, function()
      return as_drawn(view)
    end),
  }
end

--- Whether something in it can be undone: then it is the user's.
---@param view lazycelery.View
---@return boolean
function M.is_held(view)
  return view.draft ~= nil and changes(view.buf) > view.draft.floor
end

--- Ids of messages that wait in the queue, as far as this buffer knows. What was drawn last is known
--- for as long as nothing is drawn over it.
---@param view lazycelery.View
---@return table<string, true>
local function known(view)
  local draft = of(view)
  if not draft.base then
    draft.base, draft.order, draft.ordered = {}, {}, {}
    for _, id in ipairs(as_drawn(view).ids) do
      if id then
        draft.base[id], draft.ordered[id] = true, true
        table.insert(draft.order, id)
      end
    end
  end
  return draft.base
end

--- Whether it was ever drawn from an answer: only then do missing lines mean anything.
---@param view lazycelery.View
---@return boolean
function M.is_drawn(view)
  return of(view).drawn
end

--- A message that waits in the queue of this buffer, and that the buffer is to know of.
---@param view lazycelery.View
---@param id string
---@param moved? boolean we moved it here
function M.add(view, id, moved)
  of(view).came[id] = moved or nil
  known(view)[id] = true
  -- What comes back waits where it did; what is new, last.
  local draft = of(view)
  draft.read = view.keys
  if not draft.ordered[id] then
    draft.ordered[id] = true
    table.insert(draft.order, id)
  end
end

---@param view lazycelery.View
---@param id string
function M.remove(view, id)
  known(view)[id] = nil
  of(view).came[id], of(view).undone[id] = nil, nil
end

--- The ids of what waits there, in order.
---@param view lazycelery.View
---@return string[]
function M.base(view)
  local base, list = known(view), {}
  for _, id in ipairs(of(view).order) do
    if base[id] then
      list[#list + 1] = id
    end
  end
  return list
end

--- Messages that wait here, and whose lines stood in a register since before the buffer was drawn.
---@param view lazycelery.View
---@param from integer
---@param upto integer
local function welcome(view, from, upto)
  local queue, mine, base = M.queue(view), view.id.environment, known(view)
  local judged = of(view).lines:all()
  for i = from, upto do
    local message = ids.get(judged.ids[i] or nil)
    local here = message and message.queue == queue and message.environment == mine
    if message and here and message.where == "queue" and not base[message.id] then
      M.add(view, message.id)
    end
  end
end

--- What stands in the buffer, against what it knows.
---@param view lazycelery.View
---@return lazycelery.QueuePage
function M.page(view)
  local judged = of(view).lines:all()
  welcome(view, 1, #judged.ids)
  return {
    queue = M.queue(view),
    base = M.base(view),
    lines = vim.api.nvim_buf_get_lines(view.buf, 0, -1, false),
    judged = judged,
    more = math.max(0, (view.total or 0) - #view.keys),
    away = of(view).away,
    undone = of(view).undone,
  }
end

--- All buffers of queues of an environment that were drawn from an answer.
---@param name string
---@return lazycelery.View[]
function M.all(name)
  local found = vim.tbl_filter(function(view)
    local mine = view.draft ~= nil and view.draft.drawn and view.id.environment == name
    return mine and vim.api.nvim_buf_is_loaded(view.buf)
  end, registry.all())
  table.sort(found, function(a, b)
    return a.buf < b.buf
  end)
  return found
end

--- The buffer of a queue, where there is one.
---@param name string
---@param queue string
---@return lazycelery.View?
function M.find(name, queue)
  for _, view in ipairs(M.all(name)) do
    if view.id.key == queue then
      return view
    end
  end
end

--- Sets `modified` to what it means here: there is something to write. Vim's own would be false after
--- `u` past a write.
---@param view lazycelery.View
function M.settle(view)
  if M.is_held(view) then
    local judged = of(view).lines:all()
    local differs = not of(view).drawn
      or plan.differs(M.base(view), judged, reading(view.id.environment))
    if vim.bo[view.buf].modified ~= differs then
      vim.bo[view.buf].modified = differs
    end
  end
end

--- Lines were changed by the user: what they stand for is known, and what is said beside them is true.
---@param view lazycelery.View
function M.changed(view)
  local from, upto = of(view).lines:changed()
  welcome(view, from, upto)
  undone.note(view)
  align.put(view, from, upto)
  M.settle(view)
  news.mark(view, from, upto)
end

--- What all buffers of queues of an environment ask for together.
---@param name string
---@return lazycelery.QueuePlan
---@return lazycelery.View[] views whose lines it is made of, by page
function M.plan(name)
  local views = M.all(name)
  return plan.make(vim.tbl_map(M.page, views), reading(name)), views
end

--- Ids that lines of buffers hold, or did when they were drawn.
---@return table<string, true>
local function held()
  local found = {}
  for _, view in ipairs(registry.all()) do
    for id in pairs(view.draft and known(view) or {}) do
      found[id] = true
    end
    for _, id in ipairs(view.draft and view.draft.lines:all().ids or {}) do
      found[id or ""] = true
    end
  end
  return found
end

--- What happened in the queue meanwhile, beside the lines of the user's.
---@param view lazycelery.View
function M.news(view)
  news.tell(view, M.base(view))
  ids.forget(held)
end

--- It was drawn anew: what stands in it is what it knows, and there is nothing to undo.
---@param view lazycelery.View
---@param notice lazycelery.Picture? why there are no rows
function M.drawn(view, notice)
  local draft = of(view)
  draft.base, draft.read, draft.away, draft.floor = nil, nil, {}, changes(view.buf)
  draft.lines:forget()
  draft.came, draft.undone = {}, {}
  draft.drawn = view.loaded and not view.loading
  draft.whole = draft.drawn and (view.total or 0) <= #view.keys
  news.drawn(view, notice)
  ids.forget(held)
end

--- Whether a message of it is known to have left the queue.
---@param view lazycelery.View
---@param message lazycelery.Message
---@return boolean
function M.is_away(view, message)
  local missing = view.gone[message.row.key] or of(view).away[message.id]
  return missing or message.where == "gone"
end

return M
