--- Buffers in which a task is written before it is sent: one that is sent in the place of another
--- (`cc`), or a new one. Here they are made and filled; what `:w` does is in `written`.
local buffer = require("lazycelery.buffer")
local config = require("lazycelery.config")
local draft = require("lazycelery.act.resend.draft")
local freeze = require("lazycelery.freeze")
local help = require("lazycelery.act.resend.help")
local keys = require("lazycelery.keys")
local label = require("lazycelery.act.resend.label")
local name = require("lazycelery.name")
local registry = require("lazycelery.registry")
local source = require("lazycelery.act.resend.source")
local tell = require("lazycelery.tell")
local window = require("lazycelery.window")
local write = require("lazycelery.act.write")
local written = require("lazycelery.act.resend.written")

local M = {}

local NOT_RESTORED = "# Not restored: what had been typed here is gone. :e loads it anew."

local edits = {} ---@type table<integer, lazycelery.Edit>
local attempts = {} ---@type table<integer, lazycelery.Attempt> of buffers that are loaded anew

---@param edit lazycelery.Edit
local function shown(edit)
  for _, win in ipairs(window.showing(edit.buf)) do
    local options = vim.wo[win][0]
    options.wrap, options.list, options.spell, options.colorcolumn = true, false, false, ""
    options.foldenable, options.conceallevel = false, 0
  end
  label.update(edit)
end

--- Puts a text in place of what stands there, as what it was from the beginning: no undo goes before it.
---@param edit lazycelery.Edit
---@param lines string[]
---@param editable boolean
local function fill(edit, lines, editable)
  local options = vim.bo[edit.buf]
  local levels = options.undolevels
  options.undolevels = -1
  options.modifiable = true
  vim.api.nvim_buf_set_lines(edit.buf, 0, -1, false, lines)
  options.modified = false
  options.undolevels = levels
  options.modifiable = editable
  edit.loaded = editable
  vim.b[edit.buf].lazycelery_loaded = editable
end

--- Loads what is to be changed.
---@param edit lazycelery.Edit
local function load(edit)
  source.load(edit.id, function(err, found, was)
    if not vim.api.nvim_buf_is_loaded(edit.buf) or edits[edit.buf] ~= edit then
      return
    elseif err then
      return fill(edit, { "# " .. err.message, "# :e asks again." }, false)
    end
    edit.was = was
    fill(edit, draft.render(assert(found)), true)
    for _, win in ipairs(window.showing(edit.buf)) do
      pcall(vim.api.nvim_win_call, win, function()
        vim.fn.search("^args:", "cw")
        vim.cmd("normal! j0")
      end)
    end
  end)
end

---@param edit lazycelery.Edit
local function autocommands(edit)
  local group = vim.api.nvim_create_augroup("lazycelery." .. edit.buf, {})
  local function on(events, action)
    vim.api.nvim_create_autocmd(events, { group = group, buffer = edit.buf, callback = action })
  end
  on("BufWinEnter", function()
    shown(edit)
  end)
  on("CursorMoved", function()
    freeze.confirmed(edit)
  end)
  on({ "BufUnload", "BufWipeout" }, function()
    vim.api.nvim_clear_autocmds({ group = group })
    if edits[edit.buf] == edit then
      edits[edit.buf], attempts[edit.buf] = nil, edit.attempt
    end
  end)
  on("LspAttach", function(event)
    local client_id = event.data and event.data.client_id
    vim.schedule(function()
      pcall(vim.lsp.buf_detach_client, edit.buf, client_id)
    end)
  end)
end

---@param id lazycelery.ViewId
---@return boolean
function M.is_one(id)
  return id.view == "edit" or id.view == "send"
end

---@param buf integer
---@return lazycelery.Edit?
function M.get(buf)
  return edits[buf]
end

--- Makes a buffer that bears such a name what the name says. One that a session brings back asks
--- nothing: what had been typed there is gone.
---@param buf integer
---@param id lazycelery.ViewId
---@param restored? boolean
function M.adopt(buf, id, restored)
  local edit = {
    buf = buf,
    id = id,
    loaded = false,
    turn = 0,
    -- What was sent from here before `:e` stays known.
    attempt = attempts[buf],
  } --[[@as lazycelery.Edit]]
  edits[buf] = edit
  -- The plugin was loaded anew, and what is typed there is still there.
  local kept = restored == true and vim.b[buf].lazycelery_loaded == true
  local modified = vim.bo[buf].modified
  buffer.prepare(buf, {
    name = vim.api.nvim_buf_get_name(buf),
    listed = config.options.listed,
    filetype = "lazycelery-edit",
    lines = not kept and { restored and NOT_RESTORED or "# Loading …" } or nil,
    keys = function()
      keys.close_doors(buf)
      keys.map(buf, "n", "g?", "help", function()
        help.open()
      end)
      keys.map(buf, "n", "<C-c>", "cancel what is under way", function()
        tell.of(edit.cancel and edit.cancel() or "nothing is under way")
      end)
    end,
    modifiable = true,
  })
  vim.bo[buf].modifiable, vim.bo[buf].modified = kept, kept and modified
  vim.bo[buf].commentstring = "# %s"
  edit.loaded = kept
  write.able(buf, function(_, leave)
    written.save(edit, leave)
  end)
  autocommands(edit)
  shown(edit)
  if not restored then
    load(edit)
  end
end

--- Opens the buffer of a task; one that is there already stays as it was left.
---@param id lazycelery.ViewId
---@param options? lazycelery.OpenOptions
function M.open(id, options)
  local wanted = name.format(id)
  local buf = registry.find(wanted)
  if not buf then
    buf = vim.api.nvim_create_buf(config.options.listed, false)
    vim.bo[buf].buftype = "acwrite"
    vim.bo[buf].swapfile = false
    vim.api.nvim_buf_set_name(buf, wanted)
  end
  if not edits[buf] then
    pcall(vim.fn.bufload, buf)
  end
  if not edits[buf] then
    M.adopt(buf, id)
  end
  window.show(buf, options)
  shown(edits[buf])
end

return M
