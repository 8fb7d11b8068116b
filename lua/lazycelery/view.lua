--- The engine of all views: one buffer each, a feed while a window shows it, and its end.
local buffer = require("lazycelery.buffer")
local client = require("lazycelery.client")
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local freeze = require("lazycelery.freeze")
local grid = require("lazycelery.table")
local head = require("lazycelery.head")
local highlight = require("lazycelery.highlight")
local keys = require("lazycelery.keys")
local name = require("lazycelery.name")
local paint = require("lazycelery.paint")
local poll = require("lazycelery.poll")
local window = require("lazycelery.window")

local M = {}

local PAGE = 500
local NEAR_END = 100
local RENEW_MS = 3000
local TICK_MS = 1000

--- The order of `g1`, `g2`, `g3`, `]v` and `[v`.
M.order = { "workers", "tasks", "queues" }

local views = {} ---@type table<integer, lazycelery.View>
local unloaded = {} ---@type table<integer, lazycelery.View> a moment ago: `:edit` loads them again
local timer ---@type uv.uv_timer_t?

---@param kind string
---@return lazycelery.ViewDef?
function M.def(kind)
  local ok, def = pcall(require, "lazycelery.views." .. kind)
  return ok and def --[[@as lazycelery.ViewDef]] or nil
end

---@param buf? integer default: the current one
---@return lazycelery.View?
function M.get(buf)
  return views[buf or vim.api.nvim_get_current_buf()]
end

---@return lazycelery.View[]
function M.all()
  return vim.tbl_values(views)
end

--- The loaded buffer of exactly this name. (`bufnr(name)` takes prefixes and patterns.)
---@param wanted string
---@return integer?
function M.find(wanted)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_get_name(buf) == wanted then
      return buf
    end
  end
end

---@param view lazycelery.View
---@param result table
local function take(view, result)
  if result.row then
    view.rows.row = result.row
  else
    for _, row in ipairs(result.rows or {}) do
      view.rows[row.key] = row
    end
    view.keys = result.keys or view.keys
    view.total, view.exact = result.total, result.exact
    view.undecided, view.incomplete = result.undecided, result.incomplete
    view.loading = result.more
  end
  view.loaded, view.error, view.lost = true, nil, nil
end

---@param view lazycelery.View
---@param event lazycelery.FeedEvent
local function received(view, event)
  if view.closed then
    return
  elseif event.lost then
    view.lost = event.lost
  elseif event.error then
    view.error = event.error
    vim.defer_fn(function()
      if view.error and view.feed and not view.closed then
        view.feed.renew()
      end
    end, RENEW_MS)
  elseif event.result then
    take(view, event.result)
  end
  paint.soon(view)
end

--- What the feed of a view is asked with.
---@param view lazycelery.View
---@return table
local function params(view)
  local asked = { environment = view.id.environment }
  if view.def.layout == "list" and view.def.feed then
    asked.interval = config.options.interval
    asked.filter = view.filter
    asked.sort = view.sort
  end
  if view.def.layout == "list" then
    asked.limit = view.limit
  end
  return vim.tbl_extend("force", asked, view.def.params and view.def.params(view.id) or {})
end

--- Follows the cluster while a window shows the view.
---@param view lazycelery.View
function M.start(view)
  if view.feed or view.closed or view.asleep then
    return
  end
  environment.watch()
  view.since = vim.uv.now()
  local subscribe = view.def.feed and client.subscribe or poll.subscribe
  local mine = {}
  view.turn = mine
  local method = assert(view.def.feed or view.def.poll, "a view asks for something")
  view.feed = subscribe(method, params(view), function(event)
    if view.turn == mine then
      received(view, event)
    end
  end)
  -- Says that it loads, where that takes longer than an eye notices.
  vim.defer_fn(function()
    if not view.loaded then
      paint.soon(view)
    end
  end, 220)
end

---@param view lazycelery.View
function M.stop(view)
  view.turn = nil
  if view.feed then
    view.feed.stop()
    view.feed = nil
  end
end

--- Changes what the feed asks for, in place.
---@param view lazycelery.View
---@param change table
---@param done? fun(err: lazycelery.Error?)
function M.update(view, change, done)
  if view.feed then
    view.feed.update(change, done)
  end
end

--- Asks for everything anew, and lets a held list go.
---@param view lazycelery.View
function M.refresh(view)
  view.let_go, view.asleep, view.error = true, nil, nil
  if client.phase() ~= "ready" then
    client.start(true)
  end
  M.stop(view)
  M.start(view)
  paint.now(view, true)
end

--- One page more, as far as `rows` allows.
---@param view lazycelery.View
---@return boolean grown
function M.grow(view)
  local most = paint.most()
  if view.limit >= most or (view.total or 0) <= view.limit then
    return false
  end
  view.limit = math.min(most, view.limit + PAGE)
  M.update(view, { limit = view.limit })
  return true
end

---@param view lazycelery.View
local function moved(view)
  freeze.confirmed(view)
  if view.def.layout ~= "list" or not view.is_list then
    return
  end
  local line = vim.api.nvim_win_get_cursor(0)[1]
  if line > NEAR_END and line > #view.keys - NEAR_END and #view.keys >= view.limit then
    M.grow(view)
  end
  if line == 1 and view.waiting > 0 then
    paint.soon(view)
  end
end

--- A window shows the view: its options, its header, its feed.
---@param view lazycelery.View
local function shown(view)
  for _, win in ipairs(window.showing(view.buf)) do
    window.options(win, view.def)
  end
  M.start(view)
  paint.now(view, true)
end

---@param view lazycelery.View
local function hidden(view)
  vim.schedule(function()
    if not view.closed and #window.showing(view.buf) == 0 then
      M.stop(view)
    end
  end)
end

---@param view lazycelery.View
function M.close(view)
  view.closed = true
  M.stop(view)
  if views[view.buf] == view then
    views[view.buf] = nil
  end
  if not next(views) and timer then
    timer:stop()
    timer:close()
    timer = nil
  end
end

---@param view lazycelery.View
local function autocommands(view)
  local group = vim.api.nvim_create_augroup("lazycelery." .. view.buf, {})
  local function on(events, action)
    vim.api.nvim_create_autocmd(events, { group = group, buffer = view.buf, callback = action })
  end
  on("BufWinEnter", function()
    shown(view)
  end)
  on({ "BufWinLeave", "BufHidden" }, function()
    hidden(view)
  end)
  on("CursorMoved", function()
    moved(view)
  end)
  on("WinEnter", function()
    head.update(view)
    if head.as_line(view) and view.shown[1] ~= "notice:header" then
      paint.soon(view)
    end
  end)
  on({ "BufUnload", "BufDelete", "BufWipeout" }, function()
    vim.api.nvim_clear_autocmds({ group = group })
    M.close(view)
    unloaded[view.buf] = view
    vim.schedule(function()
      unloaded[view.buf] = nil
    end)
  end)
  on("LspAttach", function(event)
    local id = event.data and event.data.client_id
    vim.schedule(function()
      pcall(vim.lsp.buf_detach_client, view.buf, id)
    end)
  end)
end

--- Once: the clock, the keys, the environments, the highlights of visible lines.
local function wake()
  if timer then
    return
  end
  timer = assert(vim.uv.new_timer())
  timer:start(
    TICK_MS,
    TICK_MS,
    vim.schedule_wrap(function()
      for _, view in pairs(views) do
        paint.tick(view)
      end
    end)
  )
end

---@param buf integer
---@param id lazycelery.ViewId
---@param def lazycelery.ViewDef
---@return lazycelery.View
local function new(buf, id, def)
  return {
    buf = buf,
    id = id,
    def = def,
    grid = grid.new(keys.columns(def)),
    rows = {},
    keys = {},
    loaded = false,
    since = vim.uv.now(),
    limit = math.min(PAGE, paint.most()),
    filter = id.filter,
    paused = false,
    shown = { "notice:1" },
    lines = { "" },
    spans = {},
    items = {},
    dim = {},
    cells = {},
    waiting = 0,
    is_list = false,
  }
end

--- Makes a buffer that bears one of our names the view of that name.
---@param buf integer
---@param asleep? boolean restored: first it is asked whether it is production
---@return lazycelery.View?
function M.adopt(buf, asleep)
  local bufname = vim.api.nvim_buf_get_name(buf)
  local id = name.parse(bufname)
  local def = id and M.def(id.view)
  if not id or not def then
    vim.notify("lazycelery: no such view: " .. bufname, vim.log.levels.ERROR)
    return nil
  end
  local before = views[buf] or unloaded[buf]
  if before then
    M.close(before)
  end
  wake()
  local view = new(buf, id, def)
  if before then
    -- `:edit` asks anew; until the answer, what was known stands.
    view.rows, view.keys, view.loaded = before.rows, before.keys, before.loaded
    view.total, view.exact = before.total, before.exact
  end
  view.asleep = asleep
  if asleep then
    environment.watch()
  end
  views[buf] = view
  buffer.prepare(buf, {
    name = bufname,
    listed = config.options.listed,
    filetype = "lazycelery-" .. id.view,
    lines = { "" },
    keys = function()
      keys.set(buf, def)
    end,
  })
  autocommands(view)
  if #window.showing(buf) > 0 then
    shown(view)
  end
  return view
end

--- Opens a view in a window, as `:edit` would.
---@param id lazycelery.ViewId
---@param options? lazycelery.OpenOptions
---@return lazycelery.View?
function M.open(id, options)
  local wanted = name.format(id)
  local buf = M.find(wanted)
  if not buf then
    buf = vim.api.nvim_create_buf(config.options.listed, false)
    vim.bo[buf].buftype = "nofile"
    vim.bo[buf].swapfile = false
    vim.api.nvim_buf_set_name(buf, wanted)
  end
  local view = views[buf]
  if not view or not vim.api.nvim_buf_is_loaded(buf) then
    pcall(vim.fn.bufload, buf)
    view = views[buf] or M.adopt(buf)
  end
  if not view then
    return nil
  end
  window.show(buf, options)
  view = views[buf] or view
  shown(view)
  return view
end

--- Gives a kept filter its place in the name; the buffer of the old name goes, `#` stays.
---@param view lazycelery.View
---@param filter? string
function M.rename(view, filter)
  view.id.filter = filter ~= "" and filter or nil
  view.filter = view.id.filter
  local old, wanted = vim.api.nvim_buf_get_name(view.buf), name.format(view.id)
  if old == wanted then
    return
  end
  local taken = M.find(wanted)
  if taken and taken ~= view.buf then
    pcall(vim.api.nvim_buf_delete, taken, { force = true })
  end
  local alternate = vim.fn.bufnr("#")
  vim.api.nvim_buf_set_name(view.buf, wanted)
  local left = M.find(old)
  if left then
    pcall(vim.api.nvim_buf_delete, left, { force = true })
  end
  if alternate > 0 and vim.api.nvim_buf_is_valid(alternate) and alternate ~= view.buf then
    pcall(vim.fn.setreg, "#", alternate)
  end
end

--- The row, or the item of a page, at a line (default: under the cursor).
---@param view lazycelery.View
---@param line? integer
---@return table? row
---@return any item
function M.row(view, line)
  line = line or vim.api.nvim_win_get_cursor(0)[1]
  local id = view.shown[line]
  if view.def.layout == "detail" then
    return view.rows.row, view.items[id]
  end
  return view.rows[id]
end

--- Views that no event ever set up, as a restored session leaves them.
---@param asleep? boolean
function M.repair(asleep)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if
      not views[buf]
      and name.parse(vim.api.nvim_buf_get_name(buf))
      and #window.showing(buf) > 0
    then
      M.adopt(buf, asleep)
    end
  end
end

local spans = vim.api.nvim_create_namespace("lazycelery")

--- Highlights of one visible line, gone after the redraw: no marks pile up.
---@param buf integer
---@param row integer
local function decorate(buf, row)
  local view = views[buf]
  local found = view and view.spans[row + 1]
  if not found then
    return
  end
  local dead = view.dim[row + 1] or (view.is_list and view.stale)
  if dead then
    found = { { 0, #view.lines[row + 1], "LazyCeleryDim" } }
  end
  for _, span in ipairs(found) do
    vim.api.nvim_buf_set_extmark(buf, spans, row, span[1], {
      end_col = span[2],
      hl_group = span[3],
      ephemeral = true,
      strict = false,
      priority = 50,
    })
  end
end

--- What a window looked like when its header was made: width, scroll, number column.
---@type table<integer, string>
local looked = {}

---@param win integer
---@param buf integer
---@return boolean
local function on_window(win, buf)
  local view = views[buf]
  if not view then
    return false
  end
  local info = vim.fn.getwininfo(win)[1] --[[@as table]]
  local look = ("%d %d %d"):format(info.width, info.textoff, info.leftcol or 0)
  if looked[win] ~= look or view.width ~= window.narrowest(buf) then
    looked[win] = look
    paint.soon(view)
  end
  return true
end

vim.api.nvim_set_decoration_provider(spans, {
  on_win = function(_, win, buf)
    return on_window(win, buf)
  end,
  on_line = function(_, _, buf, row)
    decorate(buf, row)
  end,
})

freeze.watch_keys()
highlight.set()

--- Whether what a view shows is of the past: it is dimmed then.
---@param view lazycelery.View
local function judge(view)
  local row = environment.get(view.id.environment)
  view.stale = client.phase() ~= "ready"
    or (row and row.status ~= "connected" and row.status ~= "idle")
  paint.soon(view)
  if view.is_list then
    pcall(vim.api.nvim__redraw, { buf = view.buf, valid = false })
  end
end

--- In calm mode no cell changes by itself: it is said instead.
---@param what string
local function tell(what)
  if config.options.calm then
    vim.notify("lazycelery: " .. what)
  end
end

--- Views of a restored session go on by themselves, but for those of a production environment: a
--- broker of that kind is contacted by a person only.
local function rouse()
  for _, view in pairs(views) do
    local row = environment.get(view.id.environment)
    if view.asleep and row and row.production then
      paint.soon(view)
    elseif view.asleep then
      view.asleep = nil
      if #window.showing(view.buf) > 0 then
        M.start(view)
      end
    end
  end
end

environment.on_change(function(changed, before)
  rouse()
  local row = environment.get(changed)
  local again = row and row.status == "connected" and before and before.status ~= "connected"
  if before and row and before.status ~= row.status then
    tell(("%s is %s"):format(changed, row.status))
  end
  for _, view in pairs(views) do
    if view.id.environment == changed then
      if again and view.error and view.feed then
        view.feed.renew()
      end
      if not before or not row or before.status ~= row.status then
        judge(view)
      elseif not view.is_list then
        paint.soon(view)
      elseif not config.options.calm then
        head.update(view)
      end
    end
  end
end)

client.on_phase(function(phase)
  if phase == "lost" then
    tell("the server is gone; starting it again")
  end
  for _, view in pairs(views) do
    judge(view)
  end
end)

return M
