--- Buffers of ours that can be written, and whether a write of one is meant. 'autowrite', `:wa` typed
--- elsewhere, autosave plugins and timers write buffers as well: what goes to a cluster goes because
--- somebody asked for it, in the window they look at. Knows nothing of what is written.
local tell = require("lazycelery.tell")
local text = require("lazycelery.text")

local M = {}

--- Cells of a buffer's name in a message, which is to fit on one line.
local NAME_CELLS = 22

--- What was to be left, once it is written: `:wq`, `:wqa`.
---@alias lazycelery.Leave "window"|"all"

---@class lazycelery.Writer
---@field write fun(buf: integer, leave: lazycelery.Leave?, bang: boolean) outside of autocommands; `bang`:
--- by `:w!`
---@field accident fun(buf: integer, why: string)

--- What was pressed last, until Neovim waits for more.
---@class lazycelery.Stroke
---@field key string
---@field buf integer where
---@field win integer
---@field command? string full name of the Ex command that it finished

local writers = {} ---@type table<integer, lazycelery.Writer>
local noted = {} ---@type table<integer, true> buffers whose user was told of a write that was none
local press ---@type lazycelery.Stroke?
local finished ---@type string? the Ex command that was finished last, as long as it asks about it
local watching = false

--- Commands that write because they were told to. With 'autowrite' others do, too: `:make`, `:!`.
local writes = {
  write = true,
  update = true,
  wall = true,
  wnext = true,
  wNext = true,
  wprevious = true,
}
---@type table<string, lazycelery.Leave>
local quits = { wq = "window", xit = "window", exit = "window", wqall = "all", xall = "all" }
--- They write where the user answers so, under 'confirm'.
---@type table<string, lazycelery.Leave>
local asks = { quit = "window", close = "window", qall = "all", quitall = "all" }

---@param buf integer
---@return string
local function short(buf)
  return text.cut(vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buf), ":t"), NAME_CELLS)
end

---@return string?
local function command()
  local ok, parsed = pcall(vim.api.nvim_parse_cmd, vim.fn.getcmdline(), {})
  return ok and parsed.cmd or nil
end

--- Notes each key with its place. A scheduled callback runs when Neovim waits again: what runs before
--- that, runs because of the key.
local function watch()
  if watching then
    return
  end
  watching = true
  vim.on_key(function(key, typed)
    if typed and typed ~= "" then
      -- The answer to "Save changes?" is given to the command that asks so.
      finished = vim.fn.mode(1) == "r?" and finished or nil
      local mine = {
        command = finished,
        key = typed,
        buf = vim.api.nvim_get_current_buf(),
        win = vim.api.nvim_get_current_win(),
      }
      press = mine
      vim.schedule(function()
        if press == mine then
          press = nil
        end
      end)
    end
    if press and key == "\r" and vim.fn.getcmdtype() == ":" then
      press.command = command()
      finished = press.command
    end
  end, vim.api.nvim_create_namespace("lazycelery.write"))
end

--- Whether an autocommand that is not ours is being carried out.
---@return boolean
local function in_autocommand()
  local found = 0
  local stack = vim.fn.expand("<stack>") --[[@as string]]
  for _, entry in ipairs(vim.split(stack, "..", { plain = true })) do
    -- What stands around the name of the event is in the user's language.
    local is_code = vim.startswith(entry, "function ") or vim.startswith(entry, "script ")
    for word in (is_code and "" or entry):gmatch("%a+") do
      if vim.fn.exists("##" .. word) == 1 then
        found = found + 1
        break
      end
    end
  end
  return found > 1
end

---@param last lazycelery.Stroke
---@return boolean
local function is_automatic(last)
  if not (vim.o.autowrite or vim.o.autowriteall) then
    return false
  end
  local name = last.command
  local asked = asks[name] and not vim.o.autowriteall
  -- A command of the user's own may write.
  local written = not name or writes[name] or quits[name] or asked or name:find("^%u")
  return not written or last.key == "\26"
end

--- Whether a write is meant: of the current buffer in a normal window, by its own name, because a key
--- was pressed there.
---@param buf integer
---@param event { match: string } of BufWriteCmd
---@return boolean
---@return string? why not
function M.meant(buf, event)
  if event.match ~= vim.api.nvim_buf_get_name(buf) then
    return false, "it has another name"
  elseif in_autocommand() then
    return false, "an autocommand wrote it"
  elseif not press then
    return false, "no key was pressed for it"
  end
  local win = vim.api.nvim_get_current_win()
  if
    vim.api.nvim_get_current_buf() ~= buf
    or press.buf ~= buf
    or press.win ~= win
    or vim.fn.win_gettype(win) ~= ""
  then
    return false, "it was written from elsewhere"
  elseif is_automatic(press) then
    return false, "'autowrite' wrote it"
  end
  return true
end

--- The buffer in whose window all are being written, by a command that was typed there.
---@return integer?
---@return lazycelery.Leave?
function M.all_from()
  local typed = press and press.command or ""
  if press and vim.list_contains({ "wall", "wqall", "xall" }, typed) and not in_autocommand() then
    return press.buf, quits[typed]
  end
end

--- Leaves, as that was typed with the write. What else was not written keeps Neovim, and is named.
---@param what lazycelery.Leave
function M.leave(what)
  local ok, err = pcall(vim.api.nvim_command, what == "all" and "quitall" or "quit")
  if ok then
    return
  end
  local left = vim.fn.getbufinfo({ bufmodified = 1 })[1]
  local why = left and short(left.bufnr) .. " is not written" or tostring(err)
  tell.of("Neovim stays: " .. why, vim.log.levels.WARN)
end

--- Says, once until the next write that is meant, that nothing was sent.
---@param buf integer
---@param why string
function M.unsent(buf, why)
  if noted[buf] then
    return
  end
  noted[buf] = true
  local name = short(buf)
  vim.schedule(function()
    tell.of(("unsent: %s: %s"):format(name, why), vim.log.levels.WARN)
  end)
end

--- Makes a buffer one that can be written. `accident` hears of writes that are not meant; without it
--- they are noted.
---@param buf integer
---@param write fun(buf: integer, leave: lazycelery.Leave?, bang: boolean)
---@param accident? fun(buf: integer, why: string)
function M.able(buf, write, accident)
  watch()
  vim.bo[buf].buftype = "acwrite"
  writers[buf] = { write = write, accident = accident or M.unsent }
  vim.api.nvim_create_autocmd({ "BufUnload", "BufWipeout" }, {
    buffer = buf,
    once = true,
    callback = function()
      writers[buf], noted[buf] = nil, nil
    end,
  })
end

--- `BufWriteCmd` of any buffer of ours. Whatever it leads to comes after it, and `modified` stays.
---@param event { buf: integer, match: string }
function M.asked(event)
  local buf = event.buf
  local writer = writers[buf]
  if not writer then
    return tell.of("a view is for reading; nothing was written", vim.log.levels.WARN)
  end
  local meant, why = M.meant(buf, event)
  if not meant then
    return writer.accident(buf, assert(why))
  end
  noted[buf] = nil
  local last = assert(press)
  local leave = quits[last.command] or asks[last.command] or (last.key == "Z" and "window" or nil)
  local bang = vim.v.cmdbang == 1
  vim.schedule(function()
    if writers[buf] == writer then
      writer.write(buf, leave, bang)
    end
  end)
end

return M
