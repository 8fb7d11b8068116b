--- The filter line: one line below the view. The view follows a moment behind; a mistake is marked
--- where it is, and the last good filter stays in force.
local buffer = require("lazycelery.buffer")
local client = require("lazycelery.client")
local views = require("lazycelery.view")

local M = {}

local FOLLOW_MS = 150

local diagnostics = vim.api.nvim_create_namespace("lazycelery.filter")
vim.diagnostic.config({ virtual_text = true, signs = false, update_in_insert = true }, diagnostics)

local history = {} ---@type string[]

local fields = {
  task = { "state:", "name:", "queue:", "worker:", "place:" },
  worker = { "state:", "name:", "worker:", "queue:" },
  queue = { "name:", "queue:" },
}

--- What rows are asked for, where it differs from the field's own name.
local members = {
  worker = { name = "hostname", worker = "hostname", state = "status" },
  queue = { queue = "name" },
}

local places = { "queue", "reserved", "scheduled", "active", "done" }
local states = {
  "failure",
  "pending",
  "received",
  "rejected",
  "retry",
  "revoked",
  "scheduled",
  "started",
  "success",
}

---@class lazycelery.FilterLine
---@field view lazycelery.View
---@field buf integer
---@field win integer
---@field before? string # what to restore
---@field kept boolean
---@field turn integer counts the texts sent
---@field place? integer # among the filters of before
---@field timer uv.uv_timer_t

--- Values of a field that open views have seen.
---@param noun string
---@param field string
---@return string[]
local function seen(noun, field)
  if field == "place" then
    return places
  end
  local member = members[noun] and members[noun][field] or field
  local found = {}
  for _, view in ipairs(views.all()) do
    if view.def.noun == noun and view.def.layout == "list" then
      for _, row in pairs(view.rows) do
        if type(row[member]) == "string" then
          found[field == "state" and row[member]:lower() or row[member]] = true
        end
      end
    end
  end
  if field == "state" and noun == "task" then
    for _, state in ipairs(states) do
      found[state] = true
    end
  end
  local values = vim.tbl_keys(found)
  table.sort(values)
  return values
end

--- What the last word of `text` may become: fields, and after a field its seen values.
---@param noun string
---@param text string
---@return string[]
function M.complete(noun, text)
  local word = text:match("%S*$") or ""
  local negation, field, listed, last = word:match("^(!?)(%l+):(.-)([^,]*)$")
  local found = {}
  if field and last then
    for _, value in ipairs(seen(noun, field)) do
      if vim.startswith(value:lower(), last:lower()) then
        found[#found + 1] = ("%s%s:%s%s"):format(negation, field, listed, value)
      end
    end
    return found
  end
  local bang = word:sub(1, 1) == "!" and "!" or ""
  for _, name in ipairs(fields[noun] or {}) do
    if vim.startswith(name, word:sub(#bang + 1)) then
      found[#found + 1] = bang .. name
    end
  end
  return found
end

--- 'omnifunc' of the filter line.
---@param find 0|1
---@param base string
---@return integer|string[]
function M.omnifunc(find, base)
  if find == 1 then
    local before = vim.api.nvim_get_current_line():sub(1, vim.fn.col(".") - 1)
    return #before - #before:match("%S*$")
  end
  local view = views.get(vim.b.lazycelery_view)
  return view and M.complete(view.def.noun, base) or {}
end

--- Shows what is wrong with the text at its place, or that nothing is.
---@param line lazycelery.FilterLine
---@param err lazycelery.Error?
local function mark(line, err)
  if not vim.api.nvim_buf_is_loaded(line.buf) then
    return
  elseif not err then
    return vim.diagnostic.reset(diagnostics, line.buf)
  end
  local text = vim.api.nvim_buf_get_lines(line.buf, 0, 1, false)[1] or ""
  local position = err.data and err.data.position or 0
  local col = vim.fn.byteidx(text, position)
  local expected = err.data and err.data.expected
  vim.diagnostic.set(diagnostics, line.buf, {
    {
      lnum = 0,
      col = col < 0 and #text or col,
      end_col = #text,
      message = err.message .. (expected and "; expected " .. tostring(expected) or ""),
      severity = vim.diagnostic.severity.ERROR,
      source = "lazycelery",
    },
  })
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
      return vim.notify("lazycelery: " .. err.message, vim.log.levels.ERROR)
    end
    views.rename(view, filter)
    if filter ~= "" and history[#history] ~= filter then
      table.insert(history, filter)
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
  apply(line.view, vim.trim(text_of(line)), function(err)
    if mine == line.turn then
      mark(line, err)
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
  local place = (line.place or #history + 1) + step
  if place < 1 or place > #history + 1 then
    return
  end
  line.place = place
  local filter = history[place] or line.before or ""
  vim.api.nvim_buf_set_lines(line.buf, 0, -1, false, { filter })
  vim.api.nvim_win_set_cursor(line.win, { 1, #filter })
end

---@param line lazycelery.FilterLine
local function keys(line)
  local function map(modes, lhs, description, action)
    vim.keymap.set(modes, lhs, action, {
      buffer = line.buf,
      nowait = true,
      silent = true,
      desc = "LazyCelery: " .. description,
    })
  end
  map({ "n", "i" }, "<CR>", "keep the filter", function()
    keep(line)
  end)
  map({ "n", "i" }, "<C-c>", "restore the filter of before", function()
    close(line)
  end)
  map("n", "q", "restore the filter of before", function()
    close(line)
  end)
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
        keys(line)
      end
    end)
  end)
  on("BufWipeout", function()
    line.timer:stop()
    line.timer:close()
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
      keys(line)
    end,
  })
  vim.bo[line.buf].omnifunc = "v:lua.require'lazycelery.filter'.omnifunc"
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
  vim.cmd.startinsert({ bang = true })
end

return M
