--- Tells the user a sentence. It goes through `vim.notify`, which is the user's to replace. Where nobody
--- did, Neovim would ask for a key after what is longer than the message line, and the keys of whoever
--- types on would do what they do not mean: there it is cut, and `:messages` holds the whole, over some
--- lines.
local text = require("lazycelery.text")

local M = {}

local WHOLE = " :messages"

local groups = {
  [vim.log.levels.ERROR] = "ErrorMsg",
  [vim.log.levels.WARN] = "WarningMsg",
}

local said ---@type string? what was told since the screen was last drawn

--- Is there a message line of Neovim's own that can be full?
---@return boolean
local function has_line()
  local made = debug.getinfo(vim.notify, "S")
  if not made or not vim.startswith(made.source, "@vim/") then
    return false
  end
  local uis = vim.api.nvim_list_uis()
  for _, ui in ipairs(uis) do
    if ui.ext_messages then
      return false
    end
  end
  return #uis > 0
end

--- What of a sentence the message line takes.
---@param sentence string on one line
---@param room integer cells
---@return string
function M.fit(sentence, room)
  if text.width(sentence) <= room then
    return sentence
  end
  return text.cut(sentence, math.max(1, room - #WHOLE)) .. WHOLE
end

--- All of a sentence, in lines that the message line takes.
---@param sentence string
---@param room integer cells
---@return string[]
local function pieces(sentence, room)
  local found = {}
  for _, part in ipairs(vim.split(sentence, "\n")) do
    for _, line in ipairs(text.wrap(part, room)) do
      while text.width(line) > room do
        local first = text.head(line, room)
        table.insert(found, first)
        line = line:sub(#first + 1)
      end
      table.insert(found, line)
    end
  end
  return found
end

--- Tells it.
---@param sentence string
---@param level? integer of `vim.log.levels`
function M.say(sentence, level)
  if not has_line() then
    vim.notify(sentence, level)
    return
  end
  if not said then
    vim.schedule(function()
      said = nil
    end)
  end
  said = (said and said .. "; " or "") .. sentence:gsub("%s*\n%s*", "; ")
  local below = (math.max(1, vim.o.cmdheight) - 1) * vim.o.columns
  local room = math.max(2, vim.v.echospace + below)
  local line = M.fit(said, room)
  for _, piece in ipairs(line == sentence and { line } or pieces(sentence, room)) do
    -- What was asked or told before gives up the lines that it took, and its claim to a key.
    vim.cmd.redraw()
    vim.notify(piece, level)
  end
  if line ~= sentence then
    vim.cmd.redraw()
    vim.api.nvim_echo({ { line, groups[level] } }, false, {})
  end
end

--- Tells what is wrong, or was not done, in the name of this plugin.
---@param sentence string
---@param level? integer of `vim.log.levels`
function M.of(sentence, level)
  M.say("lazycelery: " .. sentence, level)
end

return M
