--- Named actions: what each does in words, and the doing. Keys and commands call them by name.
local client = require("lazycelery.client")
local environment = require("lazycelery.environment")
local events = require("lazycelery.events")
local filter = require("lazycelery.filter")
local frame = require("lazycelery.frame")
local folds = require("lazycelery.folds")
local head = require("lazycelery.head")
local help = require("lazycelery.help")
local paint = require("lazycelery.paint")
local peek = require("lazycelery.peek")
local views = require("lazycelery.view")
local whole = require("lazycelery.whole")
local window = require("lazycelery.window")

local M = {}

---@class lazycelery.ActionContext
---@field lhs? string the key pressed
---@field count integer 0 where none was given
---@field register string
---@field first integer lines it is meant for: a count's, a selection's or a range's
---@field last integer

---@class lazycelery.Action
---@field description string
---@field run fun(view: lazycelery.View, context: lazycelery.ActionContext)
---@field modes string[] of the keys that run it

---@type table<string, lazycelery.Action>
M.list = {}

---@param name string
---@param description string
---@param run fun(view: lazycelery.View, context: lazycelery.ActionContext)
local function action(name, description, run)
  M.list[name] = { description = description, run = run, modes = { "n" } }
end

--- An action on rows: as many as a count says, or those of a selection or a range.
---@param name string
---@param description string
---@param run fun(view: lazycelery.View, context: lazycelery.ActionContext)
local function row_action(name, description, run)
  M.list[name] = { description = description, run = run, modes = { "n", "x" } }
end

---@param message string
local function say(message)
  vim.api.nvim_echo({ { message } }, false, {})
end

--- What an action on rows is meant for: the row of each line; of a page, whose row is one, what
--- stands on its lines, each text once.
---@param view lazycelery.View
---@param context lazycelery.ActionContext
---@param of fun(row: table, item: any): string?
---@return string[]
local function chosen(view, context, of)
  local found, known, page = {}, {}, view.def.layout == "detail"
  for line = context.first, context.last do
    local row, item = views.row(view, line)
    local text = row and of(row, item)
    if text and not (page and known[text]) then
      known[text] = true
      found[#found + 1] = text
    end
  end
  return found
end

--- Puts texts into the register asked for, as `y` would: one within a line, several as lines. Says
--- what was put there, so that a clipboard that failed is seen.
---@param texts string[]
---@param register string
---@param several string what they are, where there are more than one
---@param remark? string
local function yank(texts, register, several, remark)
  if #texts > 0 then
    vim.fn.setreg(register, table.concat(texts, "\n"), #texts > 1 and "V" or "v")
    say((#texts > 1 and ("%d %s"):format(#texts, several) or texts[1]) .. (remark or ""))
  end
end

--- Opens what stands under the cursor.
---@param view lazycelery.View
---@param mods? table
local function open(view, mods)
  local row, item = views.row(view)
  if item and item.load then
    return whole.open(view, item.load)
  elseif item and item.frame then
    return frame.open(item.frame, mods and (mods.tab and "tab" or "split") or "edit")
  elseif not row or not view.def.open then
    return
  end
  local kind, key, of = view.def.open(row, item)
  if kind and (key or of) then
    views.open({ environment = of or view.id.environment, view = kind, key = key }, { mods = mods })
  end
end

action("open", "open what is under the cursor", function(view)
  open(view)
end)

action("open_split", "open it in a split", function(view)
  open(view, { split = "belowright", horizontal = true })
end)

action("open_tab", "open it in a tab", function(view)
  open(view, { tab = vim.fn.tabpagenr() })
end)

row_action("peek", "peek at the whole row; again: enter it", function(view)
  peek.open(view)
end)

action("up", "up: from a detail to its list, from a list to the environments", function(view)
  if view.def.global then
    return say("At the top; <CR> leads into an environment")
  elseif not view.def.up then
    return views.turn_to(view, "environments", { replace = true })
  end
  local parent = { environment = view.id.environment, view = view.def.up }
  local previous = window.previous()
  local before = previous and views.get(previous)
  -- Its list as it was left, filter and all, is nearer than a fresh one.
  if before and before.id.view == parent.view and before.id.environment == parent.environment then
    return window.back()
  end
  views.open(parent, { replace = true })
end)

action("back", "back to what the window showed before", function()
  window.back()
end)

action("refresh", "refresh; let a held list go", function(view)
  views.refresh(view)
end)

action("pause", "pause, and go on", function(view)
  view.paused = not view.paused
  views.update(view, { paused = view.paused })
  paint.now(view, true)
end)

action("cancel", "cancel what is under way", function(view)
  if peek.close() then
    return
  elseif view.cancel then
    view.cancel()
    view.cancel = nil
    return say("Cancelled")
  end
  say("Nothing is under way")
end)

row_action("yank_id", "yank the id", function(view, context)
  local ids = chosen(view, context, function(row, item)
    return item and item.id or view.def.identity(row)
  end)
  yank(ids, context.register, "ids yanked")
end)

row_action("yank_arguments", "yank the arguments", function(view, context)
  local cut = false
  local texts = chosen(view, context, function(row)
    local args, kwargs = row.args_json or row.args, row.kwargs_json or row.kwargs
    cut = cut or row.args_cut or false
    return (args or kwargs) and vim.trim((args or "") .. " " .. (kwargs or "")) or nil
  end)
  if #texts == 0 then
    return say("The arguments are not known")
  end
  yank(texts, context.register, "tasks' arguments yanked", cut and "   (cut)" or "")
end)

for _, kind in ipairs(views.order) do
  action(kind, "the " .. kind, function(view)
    views.turn_to(view, kind, { replace = true })
  end)
end

---@param view lazycelery.View
---@param step integer
local function turn(view, step)
  local here = 1
  for i, kind in ipairs(views.order) do
    if kind == view.def.name or kind == view.def.up then
      here = i
    end
  end
  local kind = assert(views.order[(here - 1 + step) % #views.order + 1])
  views.turn_to(view, kind, { replace = true })
end

action("next_view", "the next view", function(view, context)
  turn(view, math.max(1, context.count))
end)

action("previous_view", "the previous view", function(view, context)
  turn(view, -math.max(1, context.count))
end)

action("environment", "choose the environment", function(view)
  local names = environment.names()
  vim.ui.select(names, { prompt = "Environment:", kind = "lazycelery" }, function(name)
    if name and name ~= view.id.environment then
      local list = view.def.layout == "list" and not view.id.key and not view.def.global
      local kind = list and view.id.view or view.def.up
      views.open({ environment = name, view = kind or "workers" }, { replace = true })
    end
  end)
end)

action("events", "task events on or off, for all workers", function(view)
  events.ask(view)
end)

action("help", "this help", function(view)
  help.open(view.def)
end)

--- What `gs` sorts by next: a column's own direction, the other, then the order of before.
---@param current string?
---@param usual string? the view's own
---@param column lazycelery.Column
---@return string? sort
local function next_sort(current, usual, column)
  local one, other = column.sort, "-" .. column.sort ---@type string?, string?
  if column.descending then
    one, other = other, one
  end
  if current == one then
    return other
  elseif current == other and usual ~= one and usual ~= other then
    return usual
  end
  return one
end

--- The titles of those columns on the screen that sort.
---@param view lazycelery.View
---@return string
local function sorting(view)
  local titles = {}
  for _, shown in ipairs(view.grid.shown) do
    if shown.column.sort then
      titles[#titles + 1] = vim.trim(shown.column.title)
    end
  end
  return table.concat(titles, ", ")
end

---@param view lazycelery.View
local function sort(view)
  local column =
    require("lazycelery.table").column_at(view.grid, vim.fn.virtcol(".") --[[@as integer]] - 1)
  if not column or sorting(view) == "" then
    return say("Nothing to sort")
  elseif not column.sort then
    return say(("%s does not sort; what does: %s"):format(column.title, sorting(view)))
  end
  local before = view.sort
  local wanted = next_sort(before or view.def.sort, view.def.sort, column)
  view.sort, view.let_go = wanted ~= view.def.sort and wanted or nil, true
  views.update(view, { sort = wanted }, function(err)
    if err then
      view.sort = before
      vim.notify("lazycelery: " .. err.message, vim.log.levels.ERROR)
    end
  end)
  paint.now(view, true)
end

action("sort", "sort by the column under the cursor; again: reverse, then the usual order", sort)

action("load", "load more rows", function(view)
  if not views.grow(view) then
    say(("All that can be loaded is: %d rows (option `rows`)"):format(#view.keys))
  end
end)

action("filter", "filter", function(view)
  filter.edit(view)
end)

action("clear_filter", "clear the filter", function(view)
  filter.keep(view, "")
end)

action("open_frame", "open the file of the frame, or where it failed", function(view, context)
  local row, item = views.row(view)
  local found = item and item.frame or frame.origin(row and row.traceback)
  if not found then
    return say("No frame of a traceback here")
  end
  local how = { gf = "edit", gF = "edit", ["<C-w>f"] = "split", ["<C-w>F"] = "split" }
  frame.open(found, how[context.lhs] or (context.lhs and "tab") or "edit")
end)

action("quickfix", "fill the quickfix list with the frames", function(view)
  local row = views.row(view)
  frame.quickfix(row and row.traceback, head.subject(view))
end)

action("outline", "outline of the sections", function(view)
  local items = vim.tbl_map(function(section)
    return { bufnr = view.buf, lnum = section.first, text = section.title }
  end, folds.sections(view.lines or {}))
  vim.fn.setloclist(0, {}, " ", { title = head.subject(view), items = items })
  vim.cmd.lopen()
end)

---@param view lazycelery.View
---@param step integer
---@param count integer
local function jump(view, step, count)
  local here, sections = vim.api.nvim_win_get_cursor(0)[1], folds.sections(view.lines or {})
  local from, to = 1, #sections
  if step < 0 then
    from, to = to, from
  end
  for i = from, to, step do
    if (sections[i].first - here) * step > 0 then
      count = count - 1
      if count <= 0 then
        vim.cmd("normal! m'")
        return vim.api.nvim_win_set_cursor(0, { sections[i].first, 0 })
      end
    end
  end
end

action("next_section", "the next section", function(view, context)
  jump(view, 1, context.count)
end)

action("previous_section", "the previous section", function(view, context)
  jump(view, -1, context.count)
end)

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
  return found and found.modes or { "n" }
end

--- The lines that a key is meant for, and no selection any more.
---@param view lazycelery.View
---@param count integer
---@return integer first
---@return integer last
local function aimed_at(view, count)
  local first = views.line(view)
  if not vim.fn.mode():find("[vV\22]") or vim.api.nvim_get_current_buf() ~= view.buf then
    return first, math.min(first + math.max(1, count) - 1, #view.shown)
  end
  local last = vim.fn.line("v")
  vim.cmd("normal! \27")
  return math.min(first, last), math.max(first, last)
end

---@class lazycelery.Trigger
---@field lhs? string the key pressed
---@field range? { [1]: integer, [2]: integer } lines that a command names

--- Runs an action on the current view (a float of ours stands for its view).
---@param name string
---@param trigger? lazycelery.Trigger
function M.run(name, trigger)
  local found = M.list[name]
  if not found then
    return vim.notify(("lazycelery: no action %q"):format(name), vim.log.levels.ERROR)
  end
  local view = views.get() or views.get(vim.b.lazycelery_view)
  if not view then
    return vim.notify("lazycelery: not in a view; :LazyCelery opens one", vim.log.levels.WARN)
  end
  trigger = trigger or {}
  local count, register = vim.v.count, vim.v.register
  local first, last = unpack(trigger.range or { aimed_at(view, count) })
  found.run(view, {
    lhs = trigger.lhs,
    count = count,
    register = register,
    first = first,
    last = last,
  })
end

--- Ends the server; the views say so, and `R` starts it again.
M.stop_server = client.stop

return M
