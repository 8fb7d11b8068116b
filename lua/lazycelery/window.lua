--- Where views stand: which window one opens in, that window's options, and the way back.
local tell = require("lazycelery.tell")

local M = {}

--- Windows that hold something of their own: a view opens elsewhere.
---@param win integer
---@return boolean
local function taken(win)
  local buf = vim.api.nvim_win_get_buf(win)
  local buftype = vim.bo[buf].buftype
  return vim.api.nvim_win_get_config(win).relative ~= ""
    or vim.wo[win].winfixbuf
    or vim.wo[win].previewwindow
    or buftype == "quickfix"
    or buftype == "prompt"
    or buftype == "terminal"
    or vim.fn.win_gettype(win) == "command"
end

--- Makes a window current that may show a view: this one, another of this tab, or a new split.
local function settle()
  if not taken(0) then
    return
  end
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    if not taken(win) then
      return vim.api.nvim_set_current_win(win)
    end
  end
  vim.cmd("botright new")
end

--- Runs an editor command that fires autocommands. One that throws is the user's: it is told once,
--- and we go on.
---@param what string
---@param action fun()
local function guarded(what, action)
  local ok, err = pcall(action)
  if not ok then
    vim.schedule(function()
      tell.of(("an autocommand of %s: %s"):format(what, err), vim.log.levels.WARN)
    end)
  end
end

--- The buffers that this window showed before its views, the latest last.
---@param win integer
---@return integer[]
local function trail(win)
  return vim.w[win].lazycelery_trail or {}
end

---@class lazycelery.OpenOptions
---@field mods? table as in nvim_create_user_command: tab, vertical, split, …
---@field replace? boolean the view takes the current one's place on the way back

--- Shows a buffer as `:buffer` does: `<C-^>` and `<C-o>` lead back.
---@param buf integer
---@param options? lazycelery.OpenOptions
function M.show(buf, options)
  options = options or {}
  local mods = options.mods or {}
  local tab = mods.tab and mods.tab >= 0
  local split = tab or mods.vertical or mods.horizontal or (mods.split or "") ~= ""
  if split then
    -- `:split` copies the window with its variables: its trail is its own.
    guarded("WinEnter", function()
      vim.cmd({ cmd = tab and "tabnew" or "split", mods = mods })
    end)
    vim.w.lazycelery_trail = {}
    vim.w.lazycelery_split = true
    if tab then
      vim.bo.bufhidden = "wipe"
    end
  else
    settle()
  end
  local before = vim.api.nvim_get_current_buf()
  if before == buf then
    return
  end
  if not split and not options.replace then
    local past = trail(0)
    past[#past + 1] = before
    vim.w.lazycelery_trail = past
  end
  guarded("BufEnter", function()
    vim.cmd({ cmd = "buffer", args = { tostring(buf) }, bang = true, mods = { silent = true } })
  end)
  if vim.api.nvim_get_current_buf() ~= buf then
    guarded("BufEnter", function()
      vim.api.nvim_win_set_buf(0, buf)
    end)
  end
end

--- Back to what the window showed; a split of ours closes. Never quits Neovim.
---@param otherwise? fun() where there is nothing to go back to
function M.back(otherwise)
  local past = trail(0)
  while #past > 0 do
    local buf = table.remove(past)
    vim.w.lazycelery_trail = past
    if vim.api.nvim_buf_is_valid(buf) and buf ~= vim.api.nvim_get_current_buf() then
      return guarded("BufEnter", function()
        vim.cmd.buffer({ tostring(buf), bang = true })
      end)
    end
  end
  local alone = #vim.api.nvim_list_tabpages() == 1 and #vim.api.nvim_tabpage_list_wins(0) == 1
  if vim.w.lazycelery_split and not alone then
    guarded("WinClosed", function()
      vim.cmd.close()
    end)
  elseif otherwise then
    otherwise()
  else
    guarded("BufEnter", function()
      vim.cmd.enew()
    end)
  end
end

--- The buffer that `back` would lead to.
---@return integer?
function M.previous()
  local past = trail(0)
  return past[#past]
end

--- What windows of ours are set to.
---@type table<string, string|integer|boolean>
local usual = {
  wrap = false,
  -- What reaches beyond the edge shows it, and stays whole in the buffer.
  list = true,
  listchars = "extends:…,precedes:…",
  spell = false,
  colorcolumn = "",
  cursorline = true,
  sidescrolloff = 0,
  foldcolumn = "0",
}

---@type table<string, table<string, string|integer|boolean>>
local of_layout = {
  list = { foldenable = false },
  detail = {
    foldmethod = "expr",
    foldexpr = "v:lua.require'lazycelery.folds'.expr()",
    foldtext = "v:lua.require'lazycelery.decorate'.fold()",
    foldlevel = 99,
    foldminlines = 0,
    winhighlight = "Folded:NONE",
  },
}

--- Ids at the start of lines are for us; Vim takes them for text that precedes what is seen.
local editable = { conceallevel = 3, concealcursor = "nvic", listchars = "extends:…" }

--- Sets the options of a window for a view of ours, and of no other buffer it shows later.
---@param win integer
---@param def lazycelery.ViewDef
function M.options(win, def)
  local wanted =
    vim.tbl_extend("force", usual, of_layout[def.layout], def.editing and editable or {})
  local theirs = vim.go.fillchars
  wanted.fillchars = (theirs ~= "" and theirs .. "," or "") .. "eob: ,fold: "
  for option, value in pairs(wanted) do
    -- To set a fold option again would open what is closed.
    if vim.wo[win][option] ~= value then
      vim.wo[win][0][option] = value
    end
  end
end

--- Windows that show a buffer, floats and previews included, in every tab.
---@param buf integer
---@return integer[]
function M.showing(buf)
  return vim.fn.win_findbuf(buf)
end

--- Those of them that a person sees now.
---@param buf integer
---@return integer[]
function M.in_sight(buf)
  local tab = vim.api.nvim_get_current_tabpage()
  return vim.tbl_filter(function(win)
    return vim.api.nvim_win_get_tabpage(win) == tab
  end, M.showing(buf))
end

--- Display cells of the narrowest window in sight, floats aside: the text of a buffer is one.
---@param buf integer
---@return integer?
function M.narrowest(buf)
  local least ---@type integer?
  for _, win in ipairs(M.in_sight(buf)) do
    if vim.api.nvim_win_get_config(win).relative == "" then
      local room = M.room(win)
      least = math.min(least or room, room)
    end
  end
  return least
end

--- Display cells that the text of a window has.
---@param win integer
---@return integer width
---@return integer textoff cells of number, sign and fold columns before it
function M.room(win)
  local info = vim.fn.getwininfo(win)[1]
  return math.max(1, info.width - info.textoff), info.textoff
end

return M
