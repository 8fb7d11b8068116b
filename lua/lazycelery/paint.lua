--- When a view is drawn: soon after news, never while someone aims, never while it is hidden. How it
--- is drawn is in `paint/`.
---
--- One unit, retried whole: a write that Neovim refuses just now (a mapping of the user's waits for
--- a key) loses nothing.
local Context = require("lazycelery.context")
local config = require("lazycelery.config")
local folds = require("lazycelery.folds")
local environment = require("lazycelery.environment")
local freeze = require("lazycelery.freeze")
local head = require("lazycelery.head")
local notice = require("lazycelery.notice")
local picture = require("lazycelery.paint.picture")
local rows = require("lazycelery.paint.rows")
local tell = require("lazycelery.tell")
local window = require("lazycelery.window")

local M = {}

local RETRY_MS = 60

M.most = rows.most

--- Keeps in mind which sections each window has closed. Neovim opens them all where a window comes
--- back to a page: there, what it had closed before counts.
---@param view lazycelery.View
function M.keep_folds(view)
  if not view.paged or not view.lines then
    return
  end
  local back, shut = view.back_in, view.shut or {}
  local saved = folds.save(view.buf, view.lines, view.shown)
  if back then
    saved[back] = nil
  end
  view.shut, view.back_in = vim.tbl_extend("force", shut, saved), nil
end

--- The page of a detail; what a window has closed of it stays closed.
---@param view lazycelery.View
---@param context lazycelery.Context
local function show_page(view, context)
  M.keep_folds(view)
  local page = picture.page(view, context)
  picture.show(view, page)
  folds.restore(view.buf, page.lines, page.ids, view.paged and view.shut or nil)
  view.paged = true
end

--- A list that can be edited: its lines are rows, and a notice stands beside them.
---@param view lazycelery.View
---@param context lazycelery.Context
---@return boolean unfinished
local function draw_editable(view, context)
  local editing = assert(view.def.editing)
  local unfinished, why = false, nil
  if rows.any(view) then
    unfinished = rows.draw(view, context)
  else
    view.waiting, why = 0, notice.picture(view)
    picture.show(view, picture.blank())
  end
  editing.drawn(view, why)
  return unfinished
end

---@param view lazycelery.View
---@return boolean unfinished
local function draw(view)
  local context = Context.new(view.id.environment)
  view.width = window.narrowest(view.buf) or vim.o.columns
  if view.def.editing then
    return draw_editable(view, context)
  elseif view.def.layout == "detail" and view.rows.row then
    show_page(view, context)
  elseif view.def.layout == "list" and rows.any(view) then
    return rows.draw(view, context)
  else
    view.waiting = 0
    picture.show(view, notice.picture(view))
  end
  return false
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

--- Tells of a fault of ours once, not at every refresh.
---@param view lazycelery.View
---@param err string
local function report(view, err)
  if view.reported ~= err then
    view.reported = err
    tell.of(err, vim.log.levels.ERROR)
  end
end

local attempt ---@type fun(view: lazycelery.View, draw: fun(view: lazycelery.View): boolean)

---@param view lazycelery.View
---@return boolean unfinished
local function complete(view)
  return view.is_list and rows.complete(view, Context.new(view.id.environment))
end

--- Goes on with what was more than one slice, once what waits meanwhile had its turn.
---@param view lazycelery.View
local function continue(view)
  if view.continuing then
    return
  end
  view.continuing = true
  vim.defer_fn(function()
    view.continuing = nil
    local held = alive(view) and view.def.editing and view.def.editing.is_held(view)
    if alive(view) and not held and freeze.reason(view) then
      attempt(view, complete)
      view.pending = true
      retry(view)
    else
      M.now(view)
    end
  end, 1)
end

---@param view lazycelery.View
---@param how fun(view: lazycelery.View): boolean
function attempt(view, how)
  local ok, unfinished = pcall(how, view)
  view.pending = not ok
  if ok then
    view.let_go = nil
    if unfinished then
      continue(view)
    end
  elseif tostring(unfinished):find("E565") then
    retry(view)
  else
    report(view, tostring(unfinished))
  end
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
  elseif view.def.editing and view.def.editing.is_held(view) then
    view.frozen, view.pending = nil, false
    view.def.editing.news(view)
    return head.update(view)
  end
  local reason = not forced and freeze.reason(view) or nil
  view.frozen = reason
  if reason then
    view.pending = true
    retry(view)
  else
    attempt(view, draw)
  end
  head.update(view)
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
