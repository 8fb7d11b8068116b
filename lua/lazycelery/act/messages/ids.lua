--- Which line stands for which message. Each line of a queue's buffer begins with an id, which windows
--- conceal: `/3f9b.00002a.1a2b3c`, then the text that is seen. It survives whatever Vim does to lines,
--- registers included; its last part is a checksum of the text, so that an edited line is known by
--- itself. Ids are of one Neovim, and none is used twice. All are of one length, by which everything in
--- a window is further to the left than Vim believes.
local M = {}

---@class lazycelery.Message
---@field id string
---@field environment string
---@field queue string where it waits, as far as we know
---@field where "queue"|"out"|"gone" "out": we took it out; "gone": somebody else did
---@field reason? string why it is gone
---@field row table as last read
---@field line? string as last written
---@field spans? lazycelery.Span[]
---@field saved? lazycelery.SavedMessage how to bring it back

---@class lazycelery.SavedMessage
---@field path string of the recovery file
---@field name string its name there
---@field from string the queue it was in
---@field to? string the queue it was moved to by that
---@field row table as it was read there

--- Messages beyond which those are forgotten that no buffer holds, at first.
local MANY = 20000

local session ---@type string?
local known = {} ---@type table<string, lazycelery.Message>
local count, last, most = 0, 0, MANY
local keyed = {} ---@type table<string, lazycelery.Message> by environment, queue and key
--- By environment, queue and uuid: what was read there last under that uuid; and those that we put there,
--- whose new key is not read yet.
local seen, awaited = {}, {} ---@type table<string, lazycelery.Message>, table<string, lazycelery.Message[]>

---@param environment string
---@param queue string
---@param name string
---@return string
local function place(environment, queue, name)
  return table.concat({ environment, queue, name }, "\0")
end

---@return string
local function new_id()
  session = session or vim.fn.sha256(vim.uv.hrtime() .. " " .. vim.fn.getpid()):sub(1, 4)
  last = last + 1
  return ("%s.%06x"):format(session, last)
end

--- Six hexadecimal digits that another text hardly has.
---@param text string
---@return string
local function checksum(text)
  local sum = 5381
  for at = 1, #text do
    sum = (sum * 33 + text:byte(at)) % 0x1000000
  end
  return ("%06x"):format(sum)
end

--- One that we put into this queue, and that is read there for the first time.
---@param at string
---@param row table
---@return lazycelery.Message?
local function arrived(at, row)
  local waiting = row.uuid and awaited[at]
  local message = waiting and table.remove(waiting, 1)
  if waiting and #waiting == 0 then
    awaited[at] = nil
  end
  return message
end

--- The message that a row of `queue/messages` is about.
---@param environment string
---@param queue string
---@param row table
---@return lazycelery.Message
function M.of(environment, queue, row)
  local at = place(environment, queue, row.key)
  local message = keyed[at] or arrived(place(environment, queue, row.uuid or ""), row)
  if not message then
    message =
      { id = new_id(), environment = environment, queue = queue, where = "queue", row = row }
    known[message.id] = message
    seen[place(environment, queue, row.uuid or "")] = message
    count = count + 1
  end
  message.row, message.queue, message.where = row, queue, "queue"
  keyed[at] = message
  return message
end

---@param id string?
---@return lazycelery.Message?
function M.get(id)
  return id and known[id]
end

--- The line of a message, its id included.
---@param message lazycelery.Message
---@param text string begins with a blank
---@param spans lazycelery.Span[]
---@return string line
---@return lazycelery.Span[] spans
function M.write(message, text, spans)
  local mark = ("/%s.%s"):format(message.id, checksum(text))
  local moved = { { 0, #mark } } ---@type lazycelery.Span[]
  for i, span in ipairs(spans) do
    moved[i + 1] = { span[1] + #mark, span[2] + #mark, span[3] }
  end
  message.line, message.spans = mark .. text, moved
  return message.line, moved
end

local MARK = "^/(%x%x%x%x%.%x%x%x%x%x%x)%.(%x%x%x%x%x%x)"

--- Bytes, and cells, of what is concealed.
M.CELLS = 19

--- The message that a line stands for, edited or not.
---@param line string
---@return lazycelery.Message?
function M.at(line)
  -- Thousands of lines are looked at whenever one changes.
  return known[line:sub(2, 12)]
end

--- What stands at the start of a line.
---@param line string
---@return string? id
---@return boolean whole the text behind it is as it was written
function M.read(line)
  local message = M.at(line)
  if message and message.line == line then
    return message.id, true
  end
  local id, sum, text = line:match(MARK .. "( .*)$")
  return id, text ~= nil and checksum(text) == sum
end

--- Bytes of a line that are concealed.
---@param line string
---@return integer
function M.mark(line)
  local _, upto = line:find(MARK)
  return upto or 0
end

--- Its name in requests: its key; its uuid as long as its key was not read where we put it.
---@param message lazycelery.Message
---@return string
function M.name(message)
  local key = message.row.key
  local is_known = keyed[place(message.environment, message.queue, key)] == message
  return is_known and key or message.row.uuid or key
end

--- Whether another message could be meant by the same bytes.
---@param message lazycelery.Message
---@return boolean
function M.has_twin(message)
  local row = message.row
  return row.key:find("#%d+$") ~= nil or (row.delivery_tag ~= nil and row.delivery_tag ~= row.key)
end

--- It is not where we knew it, whether it was read there or was still to be.
---@param message lazycelery.Message
local function leave(message)
  local at = place(message.environment, message.queue, message.row.key)
  if keyed[at] == message then
    keyed[at] = nil
  end
  at = place(message.environment, message.queue, message.row.uuid or "")
  awaited[at] = awaited[at]
    and vim.tbl_filter(function(other)
      return other ~= message
    end, awaited[at])
end

--- We took it out of its queue.
---@param message lazycelery.Message
---@param path string of the recovery file
---@param to? string the queue it was moved to
function M.took(message, path, to)
  leave(message)
  -- A recovery file knows messages by their tags, and by their bytes where they have none.
  local name = message.row.delivery_tag or message.row.key:gsub("#%d+$", "")
  message.saved = { path = path, from = message.queue, to = to, name = name, row = message.row }
  message.where = "out"
end

--- We put it into a queue, where a new key is made for it.
---@param message lazycelery.Message
---@param queue string
function M.put(message, queue)
  leave(message)
  message.queue, message.where = queue, "queue"
  local uuid = message.row.uuid
  if not uuid then
    -- What cannot be read is not readdressed, either.
    keyed[place(message.environment, queue, message.row.key)] = message
    return
  end
  local at = place(message.environment, queue, uuid)
  local there = seen[at]
  if there and there ~= message and there.where == "queue" and there.queue == queue then
    -- It was read there before we were told that it is: it is no other.
    message.row = there.row
    keyed[place(message.environment, queue, there.row.key)] = message
    known[there.id], seen[at] = nil, message
    return
  end
  awaited[at] = awaited[at] or {}
  table.insert(awaited[at], message)
end

--- We put it back where it was, as it was.
---@param message lazycelery.Message
function M.put_back(message)
  local saved = assert(message.saved, "what is put back was saved")
  leave(message)
  message.queue, message.where, message.row, message.saved = saved.from, "queue", saved.row, nil
  keyed[place(message.environment, saved.from, saved.row.key)] = message
end

--- It is nowhere that we could take it from.
---@param message lazycelery.Message
---@param reason? string as the server says it
function M.lost(message, reason)
  leave(message)
  message.where, message.reason = "gone", reason
end

--- Forgets what neither a buffer holds nor we could bring back, once there is much of it.
---@param held fun(): table<string, true> ids that buffers hold
function M.forget(held)
  if count < most then
    return
  end
  local kept = held()
  for id, message in pairs(known) do
    if not kept[id] and not message.saved then
      leave(message)
      known[id] = nil
    end
  end
  for at, message in pairs(seen) do
    seen[at] = known[message.id]
  end
  count = vim.tbl_count(known)
  most = math.max(MANY, 2 * count)
end

return M
