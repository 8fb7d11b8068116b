--- The state of a task as it is drawn: a glyph, a word and a colour. Pure.
local M = {}

---@type table<string, { [1]: string, [2]: string, [3]: string }> glyph, letter, group
local drawn = {
  PENDING = { "…", ".", "LazyCeleryDim" },
  RECEIVED = { "◦", "o", "LazyCeleryDim" },
  SCHEDULED = { "⏲", "@", "LazyCeleryBusy" },
  STARTED = { "▶", ">", "LazyCeleryBusy" },
  RETRY = { "↻", "~", "LazyCeleryWarn" },
  SUCCESS = { "✓", "+", "LazyCeleryOk" },
  FAILURE = { "✗", "x", "LazyCeleryError" },
  REVOKED = { "⊘", "-", "LazyCeleryDim" },
  REJECTED = { "⊘", "-", "LazyCeleryWarn" },
  ORPHANED = { "!", "!", "LazyCeleryError" },
  ENDED = { "?", "?", "LazyCeleryWarn" },
}

--- What a view calls the state: a task that waits for its ETA is SCHEDULED, one whose worker is
--- lost ORPHANED, one that no longer runs though nothing says how it ended ENDED.
---@param row table
---@return string
function M.word(row)
  if row.orphaned then
    return "ORPHANED"
  elseif row.ended then
    return "ENDED"
  elseif row.place == "scheduled" then
    return "SCHEDULED"
  end
  return row.state or "PENDING"
end

---@param row table
---@param context lazycelery.Context
---@return lazycelery.Chunk[]
---@return string group
function M.chunks(row, context)
  local word = M.word(row)
  local how = drawn[word] or { "▶", ">", "LazyCeleryBusy" }
  return { { context:glyph(how[1], how[2]) .. " " .. word, how[3] } }, how[3]
end

--- Times that only events tell.
local heard = { "received", "started", "succeeded", "failed", "retried", "revoked", "rejected" }

--- Why a task has no name, where that is clear: nothing but its result was seen.
---@param row table
---@return string?
function M.unnamed(row)
  local of_result = not row.name and row.finished ~= nil and not row.sent
  for _, time in ipairs(heard) do
    of_result = of_result and row[time] == nil
  end
  return of_result and M.ONLY_RESULT or nil
end

M.ONLY_RESULT = "Only its result was seen: a name stands there with result_extended only."

--- Python's `Error('text')` as people say it: `Error: text`.
---@param exception string
---@return string
function M.exception(exception)
  local class, quote, text = exception:match("^([%w_%.]+)%((['\"])(.*)%2,?%)$")
  if
    class
    and quote
    and text
    and not text:find(quote, 1, true)
    and not text:find("\\", 1, true)
  then
    return text == "" and class or class .. ": " .. text
  end
  return exception
end

--- `web-1` of `celery@web-1`: the name that tells workers apart.
---@param hostname string?
---@return string?
function M.host(hostname)
  return hostname and (hostname:match("^celery@(.+)$") or hostname)
end

return M
