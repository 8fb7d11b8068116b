--- Makes a view's buffer show what the view knows: rows → lines → the few that changed.
---
--- One unit, retried whole: a write that Neovim refuses just now (a mapping of the user's waits for
--- a key) loses nothing. What is visible is made first, then at most `SLICE` rows a callback.
local Context = require("lazycelery.context")
local config = require("lazycelery.config")
local detail = require("lazycelery.detail")
local environment = require("lazycelery.environment")
local format = require("lazycelery.format")
local freeze = require("lazycelery.freeze")
local grid = require("lazycelery.table")
local head = require("lazycelery.head")
local hold = require("lazycelery.hold")
local notice = require("lazycelery.notice")
local patch = require("lazycelery.patch")
local window = require("lazycelery.window")

local M = {}

local SLICE = 200
local RETRY_MS = 60

---@class lazycelery.Picture
---@field ids string[]
---@field lines string[]
---@field spans lazycelery.Span[][]
---@field dim table<integer, true>
---@field is_list boolean
---@field unfinished? boolean

--- Lines that some window shows, as a range that covers them all.
---@param view lazycelery.View
---@return integer first
---@return integer last
local function visible(view)
  local first, last = nil, 0 ---@type integer?, integer
  for _, win in ipairs(window.in_sight(view.buf)) do
    local info = vim.fn.getwininfo(win)[1] --[[@as vim.fn.getwininfo.ret.item]]
    first = math.min(first or info.topline, info.topline)
    last = math.max(last, info.topline + info.height)
  end
  return math.max(1, first or 1), last
end

---@param view lazycelery.View
---@return integer
local function width(view)
  view.width = window.narrowest(view.buf) or vim.o.columns
  return view.width
end

--- The line a list is held at: 1 follows.
---@param view lazycelery.View
---@return integer
local function held_at(view)
  local line = 1
  if view.is_list and not view.let_go then
    for _, win in ipairs(window.in_sight(view.buf)) do
      local above = view.shown[1] == "notice:header" and 1 or 0
      line = math.max(line, vim.api.nvim_win_get_cursor(win)[1] - above)
    end
  end
  return line
end

--- The line of one row, from the cache where nothing it says has changed.
---@param view lazycelery.View
---@param key string
---@param context lazycelery.Context
---@return lazycelery.CachedLine cached
local function make(view, key, context)
  local row = view.rows[key]
  context.ticking = false
  local line, spans = grid.line(view.grid, row, context)
  local cached = {
    row = row,
    generation = view.grid.generation,
    ticking = context.ticking,
    time = math.floor(context.time),
    line = line,
    spans = spans,
  }
  view.cells[key] = cached
  return cached
end

---@param view lazycelery.View
---@param key string
---@param time integer
---@param ticks boolean a line that depends on the time is stale a second later
---@return lazycelery.CachedLine?
local function fresh(view, key, time, ticks)
  local cached = view.cells[key]
  if
    cached
    and cached.row == view.rows[key]
    and cached.generation == view.grid.generation
    and not (ticks and cached.ticking and cached.time ~= time)
  then
    return cached
  end
end

---@param view lazycelery.View
---@param order string[] what is shown
---@param known string[] what the window holds
---@param context lazycelery.Context
---@return lazycelery.Picture
local function rows_of(view, order, known, context)
  local first, last = visible(view)
  local time, budget = math.floor(context.time), SLICE
  for i = first, math.min(last, #order) do
    if not fresh(view, order[i], time, true) then
      make(view, order[i], context)
      budget = budget - 1
    end
  end
  local picture = { ids = {}, lines = {}, spans = {}, dim = {}, is_list = true }
  -- Only a held list shows rows that its window no longer holds.
  local in_window = order ~= known and {} or nil
  if in_window then
    for _, key in ipairs(known) do
      in_window[key] = true
    end
  end
  for i, key in ipairs(order) do
    local cached = fresh(view, key, time, false)
    if not cached and budget > 0 then
      cached = make(view, key, context)
      budget = budget - 1
    elseif not cached then
      picture.unfinished = true
      cached = view.cells[key]
      if not cached then
        break
      end
    end
    picture.ids[i], picture.lines[i], picture.spans[i] = key, cached.line, cached.spans
    if in_window and not in_window[key] then
      picture.dim[i] = true
    end
  end
  return picture
end

--- `… 43,210 more`: how many match, and what to do about it.
---@param view lazycelery.View
---@param picture lazycelery.Picture
local function tail(view, picture)
  local more = (view.total or 0) - #view.keys
  if more <= 0 or picture.unfinished then
    return
  end
  local least = view.exact == false and "at least " or ""
  local advice = {}
  if view.def.filtered then
    table.insert(advice, "i narrows")
  end
  if view.limit < M.most() then
    table.insert(advice, "g<CR> loads")
  end
  local line = (" … %s%s more: %s"):format(least, format.count(more), table.concat(advice, ", "))
  table.insert(picture.ids, "notice:more")
  table.insert(picture.lines, line)
  table.insert(picture.spans, { { 0, #line, "LazyCeleryDim" } })
end

--- The header as the first line, where another plugin keeps the winbar.
---@param view lazycelery.View
---@param picture lazycelery.Picture
local function headed(view, picture)
  local line = head.as_line(view)
  if not line then
    return
  end
  table.insert(picture.ids, 1, "notice:header")
  table.insert(picture.lines, 1, line)
  table.insert(picture.spans, 1, { { 0, #line, "LazyCeleryHeader" } })
  local dim = {}
  for at in pairs(picture.dim) do
    dim[at + 1] = true
  end
  picture.dim = dim
end

--- Rows that a list may grow to.
---@return integer
function M.most()
  return math.max(1, math.min(5000, config.options.rows))
end

--- Ids of rows, those left out whose row is still on its way, and what is no row.
---@param view lazycelery.View
---@param ids string[]
---@return string[]
local function having_rows(view, ids)
  local found, rows = {}, view.rows
  for _, id in ipairs(ids) do
    if rows[id] then
      found[#found + 1] = id
    end
  end
  return found
end

---@param view lazycelery.View
---@param context lazycelery.Context
---@return lazycelery.Picture
local function list(view, context)
  local known = having_rows(view, view.keys)
  if #known == 0 and not (view.is_list and held_at(view) > 1) then
    view.waiting = 0
    return notice.picture(view)
  end
  grid.layout(view.grid, width(view))
  for _, place in ipairs(view.grid.shown) do
    context.columns[place.column.field] = true
  end
  local shown = having_rows(view, view.is_list and view.shown or {})
  local order
  order, view.waiting = hold.arrange(shown, known, held_at(view))
  local picture = rows_of(view, order, known, context)
  if view.grid.grown and grid.layout(view.grid, width(view)) then
    picture = rows_of(view, order, known, context)
  end
  tail(view, picture)
  headed(view, picture)
  return picture
end

---@param view lazycelery.View
---@param context lazycelery.Context
---@return lazycelery.Picture
local function page(view, context)
  local row = view.rows.row
  if not row then
    return notice.picture(view)
  end
  local made = detail.page(width(view))
  local compose = assert(view.def.compose, "a detail composes its page")
  compose(made, row, context)
  view.items = made.items
  return made:picture()
end

--- Where each window's cursor is, by the item under it.
---@param view lazycelery.View
---@return { win: integer, id: string?, saved: vim.fn.winsaveview.ret }[]
local function cursors(view)
  local found = {}
  for _, win in ipairs(window.showing(view.buf)) do
    local saved = vim.api.nvim_win_call(win, vim.fn.winsaveview)
    found[#found + 1] = { win = win, id = view.shown[saved.lnum], saved = saved }
  end
  return found
end

--- Puts each cursor back on its item, at the same height of the window and the same wanted column.
---@param view lazycelery.View
---@param before { win: integer, id: string?, saved: vim.fn.winsaveview.ret }[]
---@param follow boolean a cursor on line 1 stays there
local function replace(view, before, follow)
  local place = {} ---@type table<string, integer>
  for line, id in ipairs(view.shown) do
    place[id] = line
  end
  for _, cursor in ipairs(before) do
    local saved = cursor.saved
    local line = place[cursor.id] ---@type integer?
    if (follow and saved.lnum == 1) or not line then
      line = math.min(saved.lnum --[[@as integer]], #view.shown)
    end
    local now = vim.api.nvim_win_call(cursor.win, vim.fn.winsaveview)
    local topline = math.max(1, saved.topline + line - saved.lnum) --[[@as integer]]
    if now.lnum ~= line or now.topline ~= topline or now.col ~= saved.col then
      saved.topline, saved.lnum = topline, line
      vim.api.nvim_win_call(cursor.win, function()
        vim.fn.winrestview(saved)
      end)
    end
  end
end

---@param view lazycelery.View
---@param picture lazycelery.Picture
local function write(view, picture)
  local before = cursors(view)
  local follow = view.def.layout == "list" and not view.let_go
  vim.bo[view.buf].modifiable = true
  local ok, err = pcall(patch.apply, view.buf, view.lines, picture.lines)
  vim.bo[view.buf].modifiable = false
  vim.bo[view.buf].modified = false
  if not ok then
    -- Some hunks may stand: what the buffer holds now is the ground of the next attempt.
    view.lines = vim.api.nvim_buf_get_lines(view.buf, 0, -1, false)
    error(err, 0)
  end
  view.shown, view.lines, view.spans = picture.ids, picture.lines, picture.spans
  view.dim, view.is_list = picture.dim, picture.is_list
  replace(view, before, follow)
end

--- Forgets rows that neither the window nor the screen holds.
---@param view lazycelery.View
local function sweep(view)
  local kept = {}
  for _, key in ipairs(view.keys) do
    kept[key] = true
  end
  for _, id in ipairs(view.shown) do
    kept[id] = true
  end
  for key in pairs(view.rows) do
    if not kept[key] and key ~= "row" then
      view.rows[key], view.cells[key] = nil, nil
    end
  end
end

---@param view lazycelery.View
local function draw(view)
  local context = Context.new(view.id.environment)
  local picture
  if view.def.layout == "detail" then
    picture = page(view, context)
  else
    picture = list(view, context)
  end
  write(view, picture)
  if view.def.layout == "detail" and picture.is_list and not view.folded then
    view.folded = true
    detail.close_folds(view)
  end
  view.let_go = nil
  if picture.unfinished then
    vim.defer_fn(function()
      M.now(view, true)
    end, 1)
  elseif not view.loading then
    sweep(view)
  end
end

---@param view lazycelery.View
---@return boolean
local function alive(view)
  return view.buf ~= nil and not view.closed and vim.api.nvim_buf_is_loaded(view.buf)
end

---@param view lazycelery.View
local function retry(view)
  if view.retrying then
    return
  end
  view.retrying = true
  vim.defer_fn(function()
    view.retrying = nil
    if view.pending and alive(view) then
      M.now(view)
    end
  end, RETRY_MS)
end

--- Draws now, unless the view is hidden or must not change; then it is made up for.
---@param view lazycelery.View
---@param forced? boolean a key of the user's asked for it
function M.now(view, forced)
  if not alive(view) then
    return
  elseif #window.showing(view.buf) == 0 then
    view.pending = true
    return
  end
  local reason = not forced and freeze.reason(view) or nil
  view.frozen = reason
  if reason then
    view.pending = true
    retry(view)
  else
    local ok, err = pcall(draw, view)
    view.pending = not ok
    if not ok and tostring(err):find("E565") then
      retry(view)
    elseif not ok then
      M.report(view, tostring(err))
    end
  end
  head.update(view)
end

--- Tells of a fault of ours once, not at every refresh.
---@param view lazycelery.View
---@param err string
function M.report(view, err)
  if view.reported ~= err then
    view.reported = err
    vim.notify("lazycelery: " .. err, vim.log.levels.ERROR)
  end
end

--- Draws soon, however often it is asked for.
---@param view lazycelery.View
function M.soon(view)
  if view.scheduled then
    return
  end
  view.scheduled = true
  vim.schedule(function()
    view.scheduled = nil
    if config.options.calm and view.loaded and view.is_list then
      view.pending = true
      return
    end
    M.now(view)
  end)
end

--- A second has passed: what ticks and is visible is drawn again.
---@param view lazycelery.View
function M.tick(view)
  if config.options.calm or not alive(view) or #window.showing(view.buf) == 0 then
    return
  end
  local row = environment.get(view.id.environment)
  if not (row and row.now) and not view.paused then
    M.now(view)
  else
    head.update(view)
  end
end

return M
