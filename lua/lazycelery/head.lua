--- The column header in the winbar, and our statusline: ready strings, set when they differ. (An
--- expression that fails once is erased by Neovim for good.)
local Context = require("lazycelery.context")
local badge = require("lazycelery.badge")
local config = require("lazycelery.config")
local grid = require("lazycelery.table")
local statusline = require("lazycelery.statusline")
local text = require("lazycelery.text")
local window = require("lazycelery.window")

local M = {}

--- Twice within this time, and it is another's: lualine sets what it keeps once a second.
local FIGHT_MS = 3000

--- Cells that are always free between a header and its badge: as many as between two columns.
local GAP = 2

--- What we set an option of a window to is known by buffer, as Neovim remembers it: back in a view,
--- what stood there then is there again.
---@class lazycelery.Claim
---@field texts table<integer, string> by buffer, what we set last
---@field lost? integer when something else was there instead
---@field given_up? boolean something else sets it as often as we do: it is theirs

local claims = { winbar = {}, statusline = {} } ---@type table<string, table<integer, lazycelery.Claim>>

---@param piece string
---@return string
local function escape(piece)
  return (text.clean(piece):gsub("%%", "%%%%"))
end

--- What a view is of: the task, the worker; of a list its name.
---@param view lazycelery.View
---@return string
function M.subject(view)
  local head = view.def.head
  return head and head(view.rows.row, view.id) or view.def.title
end

--- Of when a page is, where that is not now.
---@param view lazycelery.View
---@return string
local function as_of(view)
  local context = Context.new(view.id.environment)
  if not context.past or not view.is_list then
    return ""
  end
  return ("  as of %s"):format(context:clock(context.known))
end

--- The titles of a list, or what a page is of: as much of it as `cells` hold.
---@param view lazycelery.View
---@param cells integer
---@return string
local function title(view, cells)
  if view.def.layout == "detail" then
    local note = as_of(view)
    local subject = text.cut(text.clean(M.subject(view)), cells - 1 - text.width(note), true)
    return text.cut(" " .. subject .. note, cells)
  elseif not view.is_list then
    local of = view.id.key and " of " .. text.clean(view.id.key) or ""
    return " " .. text.cut(view.def.title .. of, cells - 1)
  end
  return grid.header(view.grid, view.sort, config.options.ascii, cells)
end

--- The badge as the winbar shows it, and the cells it takes.
---@param chunks lazycelery.Chunk[]
---@return string
---@return integer
local function drawn(chunks)
  local cells, parts = 1, {}
  for i, chunk in ipairs(chunks) do
    cells = cells + text.width(chunk[1])
    parts[i] = ("%%#%s#%s"):format(chunk[2] or "LazyCeleryHeader", escape(chunk[1]))
  end
  return table.concat(parts), cells + (#parts > 0 and GAP or 0)
end

--- The header of one window: moved by what is left of it, cut where the badge begins.
---@param view lazycelery.View
---@param win integer
---@return string
local function winbar(view, win)
  local room, textoff = window.room(win)
  local left = vim.api.nvim_win_call(win, vim.fn.winsaveview).leftcol --[[@as integer]]
  if view.def.editing then
    left = math.max(0, left - view.def.editing.concealed)
  end
  local badges = { badge.chunks(view) }
  local right, cells = drawn(badges[1])
  if view.is_list and view.def.layout == "list" then
    local titles = text.width(title(view, left + room)) - left
    for _, chunks in ipairs(badges) do
      local text_of, wanted = drawn(chunks)
      if titles + wanted <= room then
        right, cells = text_of, wanted
        break
      end
    end
  end
  local header = title(view, left + math.max(0, room - cells))
  if left > 0 then
    header = text.tail(header, math.max(0, text.width(header) - left))
  end
  return ("%%#LazyCeleryHeader#%s%s%%=%s%%#LazyCeleryHeader# "):format(
    (" "):rep(textoff),
    escape(header),
    right
  )
end

--- What an option of a window is set to, and not what it falls back to.
---@param win integer
---@param option "winbar"|"statusline"
---@return string
local function found_in(win, option)
  return vim.api.nvim_get_option_value(option, { scope = "local", win = win })
end

--- Whether we set this text, in this window or in the one that showed the buffer before.
---@param option "winbar"|"statusline"
---@param buf integer
---@param found string
---@return boolean
local function set_by_us(option, buf, found)
  for _, claim in pairs(claims[option]) do
    if claim.texts[buf] == found then
      return true
    end
  end
  return false
end

--- Whether an option of a window is still ours to set.
---@param win integer
---@param option "winbar"|"statusline"
---@param wanted string
---@return boolean
local function ours(win, option, wanted)
  local buf, now = vim.api.nvim_win_get_buf(win), vim.uv.now()
  local last = claims[option][win] or { texts = {} }
  claims[option][win] = last
  if last.given_up then
    return false
  end
  local found = found_in(win, option)
  if last.texts[buf] and found ~= "" and not set_by_us(option, buf, found) then
    if last.lost and now - last.lost < FIGHT_MS then
      last.given_up = true
      return false
    end
    last.lost = now
  end
  last.texts[buf] = wanted
  return true
end

--- Filetypes of windows where an option is another plugin's, for :checkhealth.
---@param option "winbar"|"statusline"
---@return string[]
function M.lost(option)
  local found = {}
  for win, last in pairs(claims[option]) do
    if last.given_up and vim.api.nvim_win_is_valid(win) then
      found[vim.bo[vim.api.nvim_win_get_buf(win)].filetype] = true
    end
  end
  return vim.tbl_keys(found)
end

--- The header as a line of text, for windows whose winbar is another plugin's.
---@param view lazycelery.View
---@return string?
function M.as_line(view)
  for _, win in ipairs(window.showing(view.buf)) do
    local last = claims.winbar[win]
    if last and last.given_up then
      return title(view, view.width or vim.o.columns)
    end
  end
end

---@param win integer
---@param option "winbar"|"statusline"
---@param wanted string
local function set(win, option, wanted)
  if ours(win, option, wanted) and found_in(win, option) ~= wanted then
    vim.wo[win][0][option] = wanted
  end
end

--- Cells of the line that shows the statusline of a window.
---@param win integer
---@return integer
local function status_room(win)
  return vim.o.laststatus == 3 and vim.o.columns or vim.fn.getwininfo(win)[1].width
end

---@param view lazycelery.View
function M.update(view)
  if not vim.api.nvim_buf_is_loaded(view.buf) then
    return
  end
  for _, win in ipairs(window.showing(view.buf)) do
    if vim.api.nvim_win_get_config(win).relative == "" then
      if config.options.winbar then
        set(win, "winbar", winbar(view, win))
      end
      if config.options.statusline then
        set(win, "statusline", statusline.text(view, status_room(win)))
      end
    end
  end
end

return M
