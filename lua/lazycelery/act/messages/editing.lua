--- What a list is drawn, and its keys are set, with where it is a queue's buffer that can be edited.
local draft = require("lazycelery.act.messages.draft")
local environment = require("lazycelery.environment")
local ids = require("lazycelery.act.messages.ids")
local registry = require("lazycelery.registry")
local write = require("lazycelery.act.write")

--- In Normal mode the cursor is where it is seen: not on what is concealed.
local function leave_mark()
  local at = vim.api.nvim_win_get_cursor(0)
  local mark = ids.mark(vim.api.nvim_get_current_line())
  if at[2] < mark and vim.fn.mode() == "n" then
    vim.api.nvim_win_set_cursor(0, { at[1], mark })
  end
end

--- What asks for a write, as the key of an action does.
---@param view lazycelery.View
---@param bang boolean
---@return lazycelery.Press
local function pressed(view, bang)
  local press = require("lazycelery.actions").press("write", view, { lhs = ":w", bang = bang })
  press.ids = {}
  return press
end

--- Writes of the buffer that are meant, and those that happen.
---@param view lazycelery.View
local function let_write(view)
  write.able(view.buf, function(buf, leave, bang)
    local current = assert(registry.get(buf))
    require("lazycelery.act.messages").write(current, pressed(current, bang), leave)
  end, function(buf, why)
    -- `:wa`, typed in a queue's buffer, means those of all queues.
    local typed_in, leave = write.all_from()
    local from = registry.get(typed_in or -1)
    if not from or not from.draft or from.id.environment ~= view.id.environment then
      return write.unsent(buf, why)
    end
    require("lazycelery.act.messages").join(from, pressed(from, false), leave)
  end)
end

---@param view lazycelery.View
local function begin(view)
  local function on(events, description, action)
    vim.api.nvim_create_autocmd(events, {
      group = "lazycelery." .. view.buf,
      buffer = view.buf,
      desc = description,
      callback = action,
    })
  end
  -- Before it is drawn there is nothing in it that anybody could mean.
  vim.bo[view.buf].modifiable = false
  draft.begin(view)
  on({ "TextChanged", "InsertLeave" }, "Keep what is said of a queue's lines true", function()
    require("lazycelery.act.messages").changed(view)
  end)
  on("CursorMoved", "Leave the concealed id to the right", leave_mark)
  let_write(view)
end

---@param view lazycelery.View
---@param at integer
---@return string line
---@return lazycelery.Message?
local function look(view, at)
  local line = vim.api.nvim_buf_get_lines(view.buf, at - 1, at, false)[1] or ""
  return line, ids.at(line)
end

--- Dim, but for what is concealed.
---@param line string
---@return lazycelery.Span[]
local function dim(line)
  local mark = ids.mark(line)
  return { { 0, mark }, { mark, #line, "LazyCeleryDim" } }
end

---@type lazycelery.Editing
return {
  help = {
    { "dd d", "delete messages" },
    { "dd, p elsewhere", "move them: put them into another queue's buffer" },
    { ":w", "show the plan of all queues' buffers, and ask" },
    { "u", "undo; what was written is brought back by u and :w" },
    { ":e", "show the queue as it is now; :e! drops changes" },
  },
  concealed = ids.CELLS,
  begin = begin,
  is_held = draft.is_held,
  news = draft.news,
  drawn = function(view, notice)
    draft.drawn(view, notice)
    vim.bo[view.buf].modifiable = draft.is_drawn(view)
  end,
  line = function(view, row, text, spans)
    return ids.write(ids.of(view.id.environment, draft.queue(view), row), text, spans)
  end,
  row = function(view, at)
    local _, message = look(view, at)
    return message and message.row
  end,
  spans = function(view, at)
    local line, message = look(view, at)
    if not message then
      return {}
    elseif draft.is_away(view, message) or environment.is_past(view.id.environment) then
      return dim(line)
    end
    -- A line out of a register may be of another width than the message was last written with.
    return message.line == line and message.spans or { { 0, ids.mark(line) } }
  end,
}
