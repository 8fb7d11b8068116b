--- Views: buffers that show a cluster. Opening, naming and ending them; what they ask for is in
--- `follow`, how they are drawn in `paint`.
local buffer = require("lazycelery.buffer")
local client = require("lazycelery.client")
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local follow = require("lazycelery.follow")
local freeze = require("lazycelery.freeze")
local grid = require("lazycelery.table")
local head = require("lazycelery.head")
local highlight = require("lazycelery.highlight")
local keys = require("lazycelery.keys")
local name = require("lazycelery.name")
local paint = require("lazycelery.paint")
local registry = require("lazycelery.registry")
local tell = require("lazycelery.tell")
local weather = require("lazycelery.weather")
local window = require("lazycelery.window")
require("lazycelery.decorate")

local M = {}

local NEAR_END = 100

--- The order of `g1` to `g4`, `]v` and `[v`.
M.order = { "workers", "tasks", "queues", "environments" }

M.get, M.all = registry.get, registry.all
M.update, M.refresh, M.grow = follow.update, follow.refresh, follow.grow

local unloaded = {} ---@type table<integer, lazycelery.View> a moment ago: `:edit` loads them again

---@param kind string
---@return lazycelery.ViewDef?
function M.def(kind)
  local ok, def = pcall(require, "lazycelery.views." .. kind)
  return ok and def --[[@as lazycelery.ViewDef]] or nil
end

---@param view lazycelery.View
local function moved(view)
  freeze.confirmed(view)
  if view.def.layout ~= "list" or not view.is_list then
    return
  end
  if view.def.editing and view.def.editing.is_held(view) then
    return
  end
  local line = vim.api.nvim_win_get_cursor(0)[1]
  if line > NEAR_END and line > #view.keys - NEAR_END and #view.keys >= view.limit then
    follow.grow(view)
  end
  if line == 1 and (view.waiting > 0 or next(view.gone)) then
    paint.soon(view)
  end
end

--- A window shows the view: its options, its header, its feed.
---@param view lazycelery.View
local function shown(view)
  for _, win in ipairs(window.showing(view.buf)) do
    window.options(win, view.def)
  end
  follow.start(view)
  paint.now(view, true)
end

---@param view lazycelery.View
local function hidden(view)
  vim.schedule(function()
    if not view.closed and #window.showing(view.buf) == 0 then
      follow.stop(view)
    end
  end)
end

---@param view lazycelery.View
local function close(view)
  view.closed = true
  follow.stop(view)
  registry.remove(view)
  weather.rest()
end

---@param view lazycelery.View
local function autocommands(view)
  local group = vim.api.nvim_create_augroup("lazycelery." .. view.buf, {})
  local function on(events, action)
    vim.api.nvim_create_autocmd(events, { group = group, buffer = view.buf, callback = action })
  end
  on("BufWinEnter", function()
    view.back_in = vim.api.nvim_get_current_win()
    shown(view)
  end)
  on("BufWinLeave", function()
    paint.keep_folds(view)
  end)
  on({ "BufWinLeave", "BufHidden" }, function()
    hidden(view)
  end)
  on("CursorMoved", function()
    moved(view)
  end)
  if view.def.editing then
    on("BufModifiedSet", function()
      head.update(view)
    end)
  end
  on("WinEnter", function()
    head.update(view)
    if head.as_line(view) and view.shown[1] ~= "notice:header" then
      paint.soon(view)
    end
  end)
  on({ "BufUnload", "BufDelete", "BufWipeout" }, function()
    vim.api.nvim_clear_autocmds({ group = group })
    close(view)
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
    held_rows = 0,
    keys = {},
    dirty = {},
    moved = true,
    loaded = false,
    since = vim.uv.now(),
    limit = math.min(follow.PAGE, paint.most()) --[[@as integer]],
    filter = id.filter,
    paused = false,
    shown = { "notice:1" },
    at = {},
    cells = {},
    gone = {},
    items = {},
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
    tell.of("no such view: " .. bufname, vim.log.levels.ERROR)
    return nil
  end
  local before = registry.get(buf) or unloaded[buf]
  if before then
    close(before)
  end
  weather.wake()
  local view = new(buf, id, def)
  if before then
    -- `:edit` asks anew; until the answer, what was known stands.
    view.rows, view.keys, view.loaded = before.rows, before.keys, before.loaded
    view.total, view.exact, view.held_rows = before.total, before.exact, before.held_rows
  end
  view.asleep = asleep
  if asleep then
    environment.watch()
  end
  registry.put(view)
  buffer.prepare(buf, {
    name = bufname,
    listed = config.options.listed,
    filetype = "lazycelery-" .. id.view,
    lines = { "" },
    modifiable = def.editing ~= nil,
    keys = function()
      keys.set(buf, def)
    end,
  })
  autocommands(view)
  if def.editing then
    def.editing.begin(view)
  end
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
  local buf = registry.find(wanted)
  if not buf then
    buf = vim.api.nvim_create_buf(config.options.listed, false)
    vim.bo[buf].buftype = "nofile"
    vim.bo[buf].swapfile = false
    vim.api.nvim_buf_set_name(buf, wanted)
  end
  local view = registry.get(buf)
  if not view or not vim.api.nvim_buf_is_loaded(buf) then
    pcall(vim.fn.bufload, buf)
    view = registry.get(buf) or M.adopt(buf)
  end
  if not view then
    return nil
  end
  window.show(buf, options)
  view = registry.get(buf) or view
  shown(view)
  return view
end

--- Ends what all views ask for. Their buffers stay; whoever adopts them next has them.
function M.close_all()
  for _, view in ipairs(registry.all()) do
    vim.api.nvim_clear_autocmds({ group = "lazycelery." .. view.buf })
    close(view)
  end
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
  local taken = registry.find(wanted)
  if taken and taken ~= view.buf then
    pcall(vim.api.nvim_buf_delete, taken, { force = true })
  end
  local alternate = vim.fn.bufnr("#")
  vim.api.nvim_buf_set_name(view.buf, wanted)
  local left = registry.find(old)
  if left then
    pcall(vim.api.nvim_buf_delete, left, { force = true })
  end
  if alternate > 0 and vim.api.nvim_buf_is_valid(alternate) and alternate ~= view.buf then
    pcall(vim.fn.setreg, "#", alternate)
  end
end

--- The environment that a view is of: of a view of all, the one under the cursor, else the default.
---@param view lazycelery.View
---@return string?
function M.environment(view)
  if not view.def.global then
    return view.id.environment
  end
  local row = M.row(view)
  return row and row.name or environment.default(client.info() or {})
end

--- Opens a view of this kind, of the same environment.
---@param view lazycelery.View
---@param kind string
---@param options? lazycelery.OpenOptions
function M.turn_to(view, kind, options)
  local def = M.def(kind)
  local name_of = def and def.global and "" or M.environment(view)
  if name_of then
    M.open({ environment = name_of, view = kind }, options)
  end
end

--- The line of the cursor in a view; from a float of ours, in the window below it.
---@param view lazycelery.View
---@return integer
function M.line(view)
  local here = vim.api.nvim_get_current_buf() == view.buf
  local win = here and 0 or window.showing(view.buf)[1]
  return win and vim.api.nvim_win_get_cursor(win)[1] or 1
end

--- The row, or the item of a page, at a line (default: under the cursor).
---@param view lazycelery.View
---@param line? integer
---@return table? row
---@return any item
function M.row(view, line)
  line = line or M.line(view)
  if view.def.editing then
    return view.def.editing.row(view, line)
  end
  local id = view.shown[line]
  if view.def.layout == "detail" then
    return view.rows.row, view.items[id]
  end
  return view.rows[id]
end

freeze.watch_keys()
highlight.set()

return M
