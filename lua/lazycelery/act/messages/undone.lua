--- A move stands in two buffers, and `u` in either of them takes all of it back. Here is known what `u` took
--- away from where it was moved to, and lines are brought to where their messages went back.
local align = require("lazycelery.act.messages.align")

local M = {}

---@param view lazycelery.View
---@return lazycelery.QueueDraft
local function of(view)
  return (assert(view.draft, "a queue's buffer has a draft"))
end

---@param view lazycelery.View
---@return integer
local function now(view)
  return vim.fn.undotree(view.buf).seq_cur
end

--- Something was carried out: what is undone from here on goes back behind it.
---@param view lazycelery.View
function M.wrote(view)
  of(view).wrote = now(view)
end

--- Notes which messages that we moved here were taken away by `u`, and not by an edit.
---@param view lazycelery.View
function M.note(view)
  local draft = of(view)
  if not next(draft.came) then
    return
  end
  local is_undone, stands = now(view) < draft.wrote, {}
  for _, id in ipairs(draft.lines:all().ids) do
    stands[id or ""] = true
  end
  for id in pairs(draft.came) do
    draft.undone[id] = not stands[id] and (is_undone or draft.undone[id]) or nil
  end
end

--- Puts the line of a message into a buffer, where it stood in the order of the queue, or takes it out.
---@param view lazycelery.View
---@param message lazycelery.Message
---@param wanted boolean
function M.line_up(view, message, wanted)
  local at, lines = nil, {} ---@type integer?, table<string, integer>
  for i, id in ipairs(of(view).lines:all().ids) do
    at = at or (id == message.id and i or nil)
    lines[id or ""] = i
  end
  if not wanted and at then
    vim.api.nvim_buf_set_lines(view.buf, at - 1, at, false, {})
  elseif wanted and not at then
    local after = 0
    for _, id in ipairs(of(view).order) do
      if id == message.id then
        break
      end
      after = lines[id] or after
    end
    vim.api.nvim_buf_set_lines(view.buf, after, after, false, { align.line(view, message) })
  end
end

return M
