--- The filter line: one line below the view. The view follows a moment behind; a mistake is marked
--- where it is, and the last good filter stays in force.
local buffer = require("lazycelery.buffer")
local client = require("lazycelery.client")
local keys = require("lazycelery.keys")
local tell = require("lazycelery.tell")
local views = require("lazycelery.view")

local M = {}

local FOLLOW_MS = 150

local diagnostics = vim.api.nvim_create_namespace("lazycelery.filter")
vim.diagnostic.config({ virtual_text = true, signs = false, update_in_insert = true }, diagnostics)

local history = {} ---@type table<string, string[]> by noun

---@class lazycelery.FilterLine
---@field view lazycelery.View
---@field buf integer
---@field win integer
---@field before? string # what to restore
---@field kept boolean
---@field turn integer counts the texts sent
---@field mistake? lazycelery.Error # of the text sent last
---@field place? integer # among the filters of before
---@field timer uv.uv_timer_t

---@param view lazycelery.View
---@return string[]
local function history_of(view)
  local noun = view.def.noun
  history[noun] = history[noun] or {}
  return history[noun]
end

--- What to tell at a place of the text.
---@param line lazycelery.FilterLine
---@param position? integer characters from 0
---@param message string
---@param severity vim.diagnostic.Severity
---@return vim.Diagnostic
local function remark(line, position, message, severity)
  local text = vim.api.nvim_buf_get_lines(line.buf, 0, 1, false)[1] or ""
  local col = vim.fn.byteidx(text, position or 0)
  return {
    lnum = 0,
    col = col < 0 and #text or col,
    end_col = #text,
    message = message,
    severity = severity,
    source = "lazycelery",
  } --[[@as vim.Diagnostic]]
end

--- What the server would rather have, said once.
---@param err lazycelery.Error
---@return string
local function complaint(err)
  local expected = err.data and err.data.expected
  local message = err.message:gsub("^filter: ", ""):gsub(" at character %d+$", "")
  if expected and not message:find(expected, 1, true) then
    message = ("%s; expected %s"):format(message, expected)
  end
  return message
end

--- Shows what is wrong with the text at its place; where nothing is, what is probably not meant.
---@param line lazycelery.FilterLine
local function mark(line)
  if not vim.api.nvim_buf_is_loaded(line.buf) then
    return
  end
  local found, err, severity = {}, line.mistake, vim.diagnostic.severity
  if err then
    found[1] = remark(line, err.data and err.data.position, complaint(err), severity.ERROR)
  else
    for _, hint in ipairs(line.view.hints or {}) do
      found[#found + 1] = remark(line, hint.position, hint.text, severity.HINT)
    end
  end
  vim.diagnostic.set(diagnostics, line.buf, found)
end

--- Puts a filter in force. `done` hears what is wrong with it.
---@param view lazycelery.View
---@param filter string
---@param done fun(err: lazycelery.Error?)
local function apply(view, filter, done)
  views.update(view, { filter = filter }, function(err)
    if not err then
      view.filter, view.let_go, view.error = filter, true, nil
    end
    done(err)
  end)
  if not view.feed or client.phase() ~= "ready" then
    done(nil)
  end
end

--- Keeps a filter: it is part of the view's name from now on.
---@param view lazycelery.View
---@param filter string
function M.keep(view, filter)
  filter = vim.trim(filter)
  apply(view, filter, function(err)
    if err then
      return tell.of(err.message, vim.log.levels.ERROR)
    end
    views.rename(view, filter)
    local past = history_of(view)
    if filter ~= "" and past[#past] ~= filter then
      table.insert(past, filter)
    end
  end)
end

---@param line lazycelery.FilterLine
---@return string
local function text_of(line)
  return table.concat(vim.api.nvim_buf_get_lines(line.buf, 0, -1, false), " ")
end

---@param line lazycelery.FilterLine
local function follow(line)
  line.turn = line.turn + 1
  local mine = line.turn
  apply(line.view, text_of(line), function(err)
    if mine == line.turn then
      line.mistake = err
      mark(line)
    end
  end)
end

--- One line it is: what a paste or `o` brought is joined with blanks.
---@param line lazycelery.FilterLine
local function changed(line)
  if vim.api.nvim_buf_line_count(line.buf) > 1 then
    local joined = text_of(line)
    vim.schedule(function()
      if vim.api.nvim_buf_is_loaded(line.buf) then
        vim.api.nvim_buf_set_lines(line.buf, 0, -1, false, { joined })
        pcall(vim.api.nvim_win_set_cursor, line.win, { 1, #joined })
      end
    end)
  end
  line.timer:stop()
  line.timer:start(
    FOLLOW_MS,
    0,
    vim.schedule_wrap(function()
      if not line.kept and vim.api.nvim_buf_is_loaded(line.buf) then
        follow(line)
      end
    end)
  )
end

---@param line lazycelery.FilterLine
local function close(line)
  vim.cmd.stopinsert()
  if vim.api.nvim_win_is_valid(line.win) then
    vim.api.nvim_win_close(line.win, true)
  end
  local win = vim.fn.win_findbuf(line.view.buf)[1]
  if win then
    vim.api.nvim_set_current_win(win)
  end
end

---@param line lazycelery.FilterLine
local function keep(line)
  -- The first <CR> takes a chosen completion, the second keeps.
  if vim.fn.complete_info({ "selected" }).selected >= 0 and vim.fn.pumvisible() == 1 then
    return vim.api.nvim_feedkeys(vim.keycode("<C-y>"), "n", false)
  end
  local filter = text_of(line)
  line.kept = true
  close(line)
  M.keep(line.view, filter)
end

--- Walks through the filters of before.
---@param line lazycelery.FilterLine
---@param step integer
local function recall(line, step)
  local past = history_of(line.view)
  local place = (line.place or #past + 1) + step
  if place < 1 or place > #past + 1 then
    return
  end
  line.place = place
  local filter = past[place] or line.before or ""
  vim.api.nvim_buf_set_lines(line.buf, 0, -1, false, { filter })
  vim.api.nvim_win_set_cursor(line.win, { 1, #filter })
end

---@param line lazycelery.FilterLine
local function map_keys(line)
  ---@param modes string|string[]
  ---@param lhs string
  ---@param description string
  ---@param run fun()
  local function map(modes, lhs, description, run)
    keys.map(line.buf, modes, lhs, description, run)
  end
  map({ "n", "i" }, "<CR>", "keep the filter", function()
    keep(line)
  end)
  for lhs, modes in pairs({ ["<C-c>"] = { "n", "i" }, q = { "n" } }) do
    map(modes, lhs, "restore the filter of before", function()
      close(line)
    end)
  end
  map({ "n", "i" }, "<Up>", "the filter before", function()
    recall(line, -1)
  end)
  map({ "n", "i" }, "<Down>", "the filter after", function()
    recall(line, 1)
  end)
  map("i", "<Tab>", "complete", function()
    local key = vim.fn.pumvisible() == 1 and "<C-n>" or "<C-x><C-o>"
    vim.api.nvim_feedkeys(vim.keycode(key), "n", false)
  end)
end

---@param line lazycelery.FilterLine
local function autocommands(line)
  local function on(events, action)
    vim.api.nvim_create_autocmd(events, { buffer = line.buf, callback = action })
  end
  on({ "TextChanged", "TextChangedI", "TextChangedP" }, function()
    changed(line)
  end)
  -- Completion plugins map <CR> of their own when insert mode begins.
  on("InsertEnter", function()
    vim.schedule(function()
      if vim.api.nvim_buf_is_loaded(line.buf) then
        map_keys(line)
      end
    end)
  end)
  on("BufWipeout", function()
    line.timer:stop()
    line.timer:close()
    line.view.heard = nil
    if not line.kept then
      line.turn = line.turn + 1
      apply(line.view, line.before or "", function() end)
    end
  end)
end

--- Opens the filter line of a view.
---@param view lazycelery.View
function M.edit(view)
  local before = view.filter or ""
  local line =
    { view = view, before = before, kept = false, turn = 0, timer = assert(vim.uv.new_timer()) }
  line.buf = buffer.scratch({
    listed = false,
    filetype = "lazycelery-filter",
    lines = { before },
    modifiable = true,
    bufhidden = "wipe",
    keys = function(buf)
      line.buf = buf
      vim.b[buf].lazycelery_view = view.buf
      keys.close_doors(buf)
      map_keys(line)
    end,
  })
  vim.bo[line.buf].omnifunc = "v:lua.require'lazycelery.filter.complete'.omnifunc"
  vim.cmd("belowright 1split")
  line.win = vim.api.nvim_get_current_win()
  vim.api.nvim_win_set_buf(line.win, line.buf)
  local options = vim.wo[line.win][0]
  options.winfixheight = true
  options.winfixbuf = true
  options.winbar = ""
  options.statusline = " filter   <CR> keeps   <C-c> restores   <Tab> completes"
  options.number = false
  options.relativenumber = false
  options.signcolumn = "no"
  options.foldcolumn = "0"
  options.cursorline = false
  options.wrap = false
  vim.api.nvim_win_set_height(line.win, 1)
  autocommands(line)
  view.heard = function()
    mark(line)
  end
  vim.cmd.startinsert({ bang = true })
end

return M
