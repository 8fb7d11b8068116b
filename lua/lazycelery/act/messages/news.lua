--- What is said beside the lines of a queue's buffer, as virtual text: it can be neither edited nor
--- written, and takes no `u` from anybody.
local environment = require("lazycelery.environment")
local ids = require("lazycelery.act.messages.ids")
local rows = require("lazycelery.paint.rows")

local M = {}

local namespace = vim.api.nvim_create_namespace("lazycelery.messages")

local TAKEN = "taken by a worker, or somebody else"

---@param view lazycelery.View
---@param line integer
---@param mark vim.api.keyset.set_extmark
local function put(view, line, mark)
  mark.strict = false
  vim.api.nvim_buf_set_extmark(view.buf, namespace, line - 1, 0, mark)
end

--- A notice in the place of rows: in its first line, which is empty, and below.
---@param view lazycelery.View
---@param notice lazycelery.Picture
local function put_notice(view, notice)
  local chunks = {}
  for i, line in ipairs(notice.lines) do
    local span = notice.spans[i] and notice.spans[i][1]
    chunks[i] = { { line, span and span[3] or nil } }
  end
  put(view, 1, {
    virt_text = table.remove(chunks, 1),
    virt_text_pos = "overlay",
    virt_lines = #chunks > 0 and chunks or nil,
  })
end

--- How many more there are, below the last line.
---@param view lazycelery.View
local function put_tail(view)
  local tail = rows.tail(view)
  if tail then
    local last = vim.api.nvim_buf_line_count(view.buf)
    put(view, last, { virt_lines = { { { tail, "LazyCeleryDim" } } } })
  end
end

--- It was drawn; without rows, `notice` says why.
---@param view lazycelery.View
---@param notice lazycelery.Picture?
function M.drawn(view, notice)
  vim.api.nvim_buf_clear_namespace(view.buf, namespace, 0, -1)
  if notice then
    put_notice(view, notice)
  else
    put_tail(view)
  end
end

--- Which of the messages that the buffer knows of have left the queue for sure. Where only a part of
--- the queue was read, what stands behind the last one found may just be further down.
---@param view lazycelery.View
---@param base string[]
---@param there table<string, true>
---@return table<string, true> away
---@return integer reach of the base: how many of it were within what was read
local function missing(view, base, there)
  local whole, reach = (view.total or 0) <= #view.keys and view.exact ~= false, #base
  while not whole and reach > 0 and not there[base[reach]] do
    reach = reach - 1
  end
  local away = {}
  for i = 1, reach do
    away[base[i]] = not there[base[i]] or nil
  end
  return away, reach
end

--- Messages that came since: all that are new, as long as both looks saw the whole queue; else those that
--- stand before one that is known.
---@param view lazycelery.View
---@param came boolean[] for each key of the queue, whether it is new
---@return integer
local function arrivals(view, came)
  local draft = assert(view.draft)
  local last = (draft.whole and (view.total or 0) <= #view.keys) and #came or 0
  for i = #came, last + 1, -1 do
    if not came[i] then
      last = i
      break
    end
  end
  local count = 0
  for i = 1, last do
    count = count + (came[i] and 1 or 0)
  end
  return count
end

--- Which of the rows that were read last are of messages that the buffer does not know of, and which
--- messages they are of.
---@param view lazycelery.View
---@param known table<string, true>
---@return boolean[] came
---@return table<string, true> there
local function read(view, known)
  local came, there, kept = {}, {}, {}
  local environment_name, queue = view.id.environment, assert(view.id.key)
  for i, key in ipairs(view.keys) do
    local row = view.rows[key]
    if row then
      local id = ids.of(environment_name, queue, row).id
      there[id], came[i], kept[key] = true, not known[id], row
    end
  end
  -- Of a list that is not drawn nobody else forgets the rows that left.
  view.rows, view.held_rows = kept, #view.keys
  return came, there
end

--- Says at its line what is gone, wherever that stands now.
---@param view lazycelery.View
---@param from? integer lines that may have changed; without, all
---@param upto? integer
function M.mark(view, from, upto)
  local draft = assert(view.draft)
  local judged, away = draft.lines:all(), draft.away
  from, upto = from or 1, upto or #judged.ids
  vim.api.nvim_buf_clear_namespace(view.buf, namespace, from - 1, upto)
  for i = from, upto do
    local message = ids.get(judged.ids[i] or nil)
    local gone = message and message.where == "gone"
    if message and (gone or away[message.id]) then
      local chunk = { "  " .. (gone and message.reason or TAKEN), "LazyCeleryWarn" }
      -- At the right edge, over what stands there: a line may be as wide as the window.
      put(view, i, { virt_text = { chunk }, virt_text_pos = "right_align" })
    end
  end
end

--- What happened since it was drawn, where it is not drawn again.
---@param view lazycelery.View
---@param base string[] ids of what waits there, as far as the buffer knows
function M.tell(view, base)
  local draft = assert(view.draft)
  if draft.read == view.keys then
    return
  end
  draft.read = view.keys
  local known = {} ---@type table<string, true>
  for _, id in ipairs(base) do
    known[id] = true
  end
  local came, there = read(view, known)
  if draft.drawn and not environment.is_past(view.id.environment) then
    draft.away = missing(view, base, there)
    view.waiting = arrivals(view, came)
  end
  M.mark(view)
end

return M
