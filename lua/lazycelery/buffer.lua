--- Makes every buffer of ours, in one order: the other way round an `.editorconfig`, a modeline in a
--- task's arguments or a swap file get in.
local tell = require("lazycelery.tell")

local M = {}

--- Completion plugins and assistants are told to stay out of what comes from a broker.
local switches = {
  copilot_enabled = false,
  codeium_enabled = false,
  supermaven_enabled = false,
  completion = false,
  miniindentscope_disable = true,
  minitrailspace_disable = true,
}

---@class lazycelery.BufferSpec
---@field name? string
---@field listed boolean
---@field filetype string
---@field keys? fun(buf: integer) sets the buffer-local keys, before FileType fires
---@field lines? string[]
---@field modifiable? boolean
---@field bufhidden? "hide"|"wipe"

---@param buf integer a new buffer, or one that a command made under our name
---@param spec lazycelery.BufferSpec
function M.prepare(buf, spec)
  local options = vim.bo[buf]
  options.buftype = "nofile"
  options.swapfile = false
  options.modeline = false
  options.undolevels = -1
  options.bufhidden = spec.bufhidden or "hide"
  if spec.name and vim.api.nvim_buf_get_name(buf) ~= spec.name then
    pcall(vim.api.nvim_buf_set_name, buf, spec.name)
  end
  options.modifiable = true
  if spec.lines then
    vim.api.nvim_buf_set_lines(buf, 0, -1, false, spec.lines)
  end
  -- Not `vim.o`: a view that is current has a value of its own.
  options.undolevels = spec.modifiable and vim.go.undolevels or -1
  options.modifiable = spec.modifiable or false
  options.modified = false
  options.buflisted = spec.listed
  options.textwidth = 0
  for name, value in pairs(switches) do
    vim.b[buf][name] = value
  end
  if spec.keys then
    spec.keys(buf)
  end
  -- A user's FileType autocommand that throws must not leave us half made.
  local ok, err = pcall(function()
    options.filetype = spec.filetype
  end)
  if not ok then
    tell.of("FileType autocommand: " .. tostring(err), vim.log.levels.WARN)
  end
end

--- Gives the lines of a buffer that stays as it is their colours.
---@param buf integer
---@param namespace integer
---@param spans lazycelery.Span[][] of each line
function M.colour(buf, namespace, spans)
  for line, found in ipairs(spans) do
    for _, span in ipairs(found) do
      vim.api.nvim_buf_set_extmark(buf, namespace, line - 1, span[1], {
        end_col = span[2],
        hl_group = span[3],
        strict = false,
      })
    end
  end
end

local changing = {} ---@type table<integer, true>

--- Whether the text of a buffer is being changed by us.
---@param buf integer
---@return boolean
function M.is_changing(buf)
  return changing[buf] == true
end

--- Runs what changes the text of a buffer of ours: nobody can take it back, and it modifies nothing.
--- Where something in the buffer can be undone, that is lost.
---@generic T
---@param buf integer
---@param action fun(): T
---@return boolean ok
---@return T|string result
function M.change(buf, action)
  local options = vim.bo[buf]
  local modifiable, levels = options.modifiable, options.undolevels
  options.modifiable, options.undolevels = true, -1
  changing[buf] = true
  local ok, result = pcall(action)
  changing[buf] = nil
  options.modifiable, options.undolevels = modifiable, levels
  options.modified = false
  return ok, result
end

--- A nameless buffer for a float or a split.
---@param spec lazycelery.BufferSpec
---@return integer buf
function M.scratch(spec)
  local buf = vim.api.nvim_create_buf(false, true)
  M.prepare(buf, spec)
  return buf
end

return M
