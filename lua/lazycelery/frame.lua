--- The one opener of paths that came from a broker.
---
--- Neovim's own `gF`, `:edit` and `:cc` *run* a frame that reads `term://touch$IFS/tmp/x:88`. Here a
--- path is opened only where, mapped by `path_map`, it names a regular file and no scheme.
local config = require("lazycelery.config")
local tell = require("lazycelery.tell")

local M = {}

--- Folders of files that are not the user's own code.
local foreign = { "/site%-packages/", "/dist%-packages/", "/lib/python[%d%.]+/", "^<" }

--- The path here of a path there.
---@param file string
---@return string
local function mapped(file)
  local best, to = "", nil
  for from, here in pairs(config.options.path_map) do
    local prefix = from:gsub("/+$", "")
    local whole = file == prefix or vim.startswith(file, prefix .. "/")
    if whole and #prefix >= #best then
      best, to = prefix, here
    end
  end
  if not to then
    return file
  end
  return (to:gsub("/+$", "")) .. file:sub(#best + 1)
end

--- The file of a frame on this machine.
---@param file any as the traceback has it
---@return string? path absolute
---@return string? reason why it is not opened
function M.resolve(file)
  if type(file) ~= "string" or file == "" then
    return nil, "no file"
  elseif file:find("%c") or file:find("://", 1, true) then
    return nil, "not a file name: " .. file
  end
  local path = mapped(file)
  if path:find("://", 1, true) then
    return nil, "not a file name: " .. path
  elseif vim.startswith(path, "~/") then
    path = vim.uv.os_homedir() .. path:sub(2)
  elseif not vim.startswith(path, "/") and not path:find("^%a:[/\\]") then
    path = vim.fs.joinpath(vim.uv.cwd(), path)
  end
  local stat = vim.uv.fs_stat(path)
  if not stat then
    return nil, path .. " is not here; the option path_map says where it is"
  elseif stat.type ~= "file" then
    return nil, path .. " is not a regular file"
  end
  return path
end

---@param path string
---@return boolean
function M.is_own(path)
  for _, pattern in ipairs(foreign) do
    if path:find(pattern) then
      return false
    end
  end
  return true
end

--- The window to read code in: the one the user came from, where it shows an ordinary file.
---@return integer?
local function reader()
  local previous = vim.fn.win_getid(vim.fn.winnr("#"))
  if previous ~= 0 and previous ~= vim.api.nvim_get_current_win() then
    local buf = vim.api.nvim_win_get_buf(previous)
    local plain = vim.bo[buf].buftype == "" and not vim.wo[previous].winfixbuf
    if plain and vim.api.nvim_win_get_config(previous).relative == "" then
      return previous
    end
  end
end

--- Where it failed: the innermost frame of one's own code that is a file here, else of any that is
--- one, else the innermost of all.
---@param traceback { frames: table[] }?
---@return { file: string, line: integer? }?
function M.origin(traceback)
  local frames = traceback and traceback.frames or {}
  local any ---@type table?
  for i = #frames, 1, -1 do
    local frame = frames[i] ---@cast frame -?
    local path = M.resolve(frame.file)
    if path and M.is_own(path) then
      return frame
    end
    any = any or (path and frame)
  end
  return any or frames[#frames]
end

--- Opens the file of a frame at its line.
---@param frame { file: string, line: integer? }
---@param how "edit"|"split"|"tab"
function M.open(frame, how)
  local path, reason = M.resolve(frame.file)
  if not path then
    return tell.of(reason or "no such file", vim.log.levels.WARN)
  end
  local buf = vim.fn.bufadd(path)
  local target = how == "edit" and reader()
  vim.cmd("normal! m'")
  if target then
    vim.api.nvim_set_current_win(target)
  elseif how == "split" then
    vim.cmd("split")
  elseif how == "tab" then
    vim.cmd("tab split")
  end
  vim.bo[buf].buflisted = true
  local ok, err = pcall(vim.cmd.buffer, tostring(buf))
  if not ok then
    return tell.of(tostring(err), vim.log.levels.WARN)
  end
  local last = vim.api.nvim_buf_line_count(0)
  vim.api.nvim_win_set_cursor(0, { math.max(1, math.min(frame.line or 1, last)), 0 })
  vim.cmd("normal! zvzz")
end

--- Frames that are files here, own code first, the innermost first.
---@param traceback { frames: table[] }?
---@return vim.quickfix.entry[] entries
---@return integer left_out
function M.entries(traceback)
  local own, others, left_out = {}, {}, 0
  local frames = traceback and traceback.frames or {}
  for i = #frames, 1, -1 do
    local frame = frames[i] --[[@as table]]
    local path = M.resolve(frame.file)
    if path then
      table.insert(M.is_own(path) and own or others, {
        filename = path,
        lnum = frame.line or 1,
        text = ("in %s: %s"):format(frame["function"] or "?", frame.code or ""),
      })
    else
      left_out = left_out + 1
    end
  end
  return vim.list_extend(own, others), left_out
end

---@param traceback { frames: table[] }?
---@param title string
function M.quickfix(traceback, title)
  local entries, left_out = M.entries(traceback)
  if #entries == 0 then
    local why = left_out > 0 and "No frame is a file here (option path_map)"
      or "There is no traceback"
    return tell.of(why, vim.log.levels.WARN)
  end
  vim.fn.setqflist({}, " ", { title = title, items = entries })
  vim.api.nvim_echo({
    {
      ("%d frames in the quickfix list%s"):format(
        #entries,
        left_out > 0 and (", %d are no files here"):format(left_out) or ""
      ),
    },
  }, false, {})
end

return M
