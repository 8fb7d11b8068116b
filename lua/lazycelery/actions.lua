--- Named actions: what each does in words, and the doing. Keys and commands call them by name.
local ask = require("lazycelery.act.ask")
local client = require("lazycelery.client")
local keys = require("lazycelery.keys")
local tell = require("lazycelery.tell")
local views = require("lazycelery.view")

local M = {}

---@type table<string, lazycelery.Action>
M.list = {}

--- Those that look, then those that change something.
for _, actions in ipairs({
  require("lazycelery.actions.browse"),
  require("lazycelery.actions.page"),
  require("lazycelery.actions.rows"),
  require("lazycelery.act.events").actions,
  require("lazycelery.act.tasks").actions,
  require("lazycelery.act.export").actions,
  require("lazycelery.act.queues").actions,
  require("lazycelery.act.undo").actions,
  require("lazycelery.act.resend").actions,
  require("lazycelery.act.messages.export").actions,
}) do
  M.list = vim.tbl_extend("error", M.list, actions)
end

---@param name string
---@return string
function M.describe(name)
  local found = M.list[name]
  return found and found.description or ("no action " .. name)
end

--- Modes of the keys that run an action.
---@param name string
---@return string[]
function M.modes(name)
  local found = M.list[name]
  return found and found.rows and { "n", "x" } or { "n" }
end

--- The lines that a key is meant for, and no selection any more.
---@param view lazycelery.View
---@param count integer
---@return integer first
---@return integer last
local function aimed_at(view, count)
  local first = views.line(view)
  if not vim.fn.mode():find("[vV\22]") or vim.api.nvim_get_current_buf() ~= view.buf then
    return first, math.min(first + math.max(1, count) - 1, vim.api.nvim_buf_line_count(view.buf))
  end
  local last = vim.fn.line("v")
  vim.cmd("normal! \27")
  return math.min(first, last), math.max(first, last)
end

---@class lazycelery.Trigger
---@field lhs? string the key pressed
---@field range? { [1]: integer, [2]: integer } lines that a command names
---@field bang? boolean

--- What was pressed, caught before anything moves.
---@param name string
---@param view lazycelery.View
---@param trigger lazycelery.Trigger
---@return lazycelery.Press
function M.press(name, view, trigger)
  local count, register = vim.v.count, vim.v.register
  local first, last = unpack(trigger.range or { aimed_at(view, count) })
  return {
    name = name,
    at = vim.uv.now(),
    lhs = trigger.lhs,
    bang = trigger.bang or false,
    count = count,
    register = register,
    first = first,
    last = last,
    ids = vim.list_slice(view.shown, first, last),
  }
end

--- `.` does the last action again that repeats, on as many lines from the cursor on.
local last_repeated ---@type fun()?

--- What 'operatorfunc' calls, the first time and for each `.`.
function M.again()
  if last_repeated then
    last_repeated()
  end
end

--- Runs an action as an operator on whole lines, so that `.` repeats it.
---@param found lazycelery.Action
---@param view lazycelery.View
---@param first lazycelery.Press
local function operate(found, view, first)
  local pressed = first ---@type lazycelery.Press?
  last_repeated = function()
    local now = pressed
    pressed = nil
    if not now then
      local here = views.get()
      if not here or not keys.offers(here.def, first.name) then
        local sentence = ("lazycelery: nothing here for . to %s"):format(first.name)
        return tell.say(sentence, vim.log.levels.WARN)
      end
      local from, to = vim.fn.line("'["), vim.fn.line("']")
      view, now = here, M.press(first.name, here, { lhs = first.lhs, range = { from, to } })
    end
    if not ask.resume(view, now) then
      found.run(view, now)
    end
  end
  local cursor = vim.api.nvim_win_get_cursor(0)
  vim.o.operatorfunc = "v:lua.require'lazycelery.actions'.again"
  vim.api.nvim_win_set_cursor(0, { first.first, cursor[2] })
  vim.cmd(("normal! %dg@_"):format(first.last - first.first + 1))
  pcall(vim.api.nvim_win_set_cursor, 0, { first.first, cursor[2] })
end

--- Runs an action on the current view (a float of ours stands for its view).
---@param name string
---@param trigger? lazycelery.Trigger
function M.run(name, trigger)
  local found = M.list[name]
  if not found then
    return tell.of(("no action %q"):format(name), vim.log.levels.ERROR)
  end
  local view = views.get() or views.get(vim.b.lazycelery_view)
  if not view then
    return tell.of("not in a view; :LazyCelery opens one", vim.log.levels.WARN)
  end
  local pressed = M.press(name, view, trigger or {})
  if found.repeats and pressed.lhs and vim.api.nvim_get_current_buf() == view.buf then
    return operate(found, view, pressed)
  elseif not ask.resume(view, pressed) then
    found.run(view, pressed)
  end
end

--- Ends the server; the views say so, and `R` starts it again.
M.stop_server = client.stop

return M
