--- What is under way, told in one line, and how `<C-c>` ends it.
local config = require("lazycelery.config")
local format = require("lazycelery.format")
local text = require("lazycelery.text")

local M = {}

--- What takes longer is shown.
local SHOW_MS = 200

--- Cells of the message line that stay free for what else is shown there, so that nothing scrolls.
local SPARE_CELLS = 14

---@class lazycelery.Running
---@field title string
---@field done integer
---@field total? integer
---@field stopping? boolean
---@field view? lazycelery.Asker
---@field over boolean
---@field shown boolean
---@field before? fun(): string?
---@field cancel fun(): string?
local Running = {}
Running.__index = Running

---@return string
function Running:line()
  local line, done = self.title, self.done
  if self.total then
    line = ("%s: %s of %s"):format(line, format.count(done), format.count(self.total))
  elseif done > 0 then
    line = ("%s: %s"):format(line, format.count(done))
  end
  local key = self.view and self.view.stopped_by or "<C-c>"
  return line .. (self.stopping and ", stopping" or (" …   %s cancels"):format(key))
end

--- Shows how far it is, unless a person is typing there.
function Running:show()
  if self.over or (config.options.calm and self.shown) then
    return
  elseif vim.api.nvim_get_mode().mode:find("^[cr]") or vim.api.nvim_get_mode().blocking then
    return
  end
  self.shown = true
  local line = text.cut(self:line(), math.max(20, vim.o.columns - SPARE_CELLS))
  -- Not as a message of kind "progress": Neovim 0.12.4 waits for Enter at the second one (measured).
  vim.api.nvim_echo({ { line } }, false, {})
end

---@param done integer
---@param total? integer
function Running:report(done, total)
  self.done, self.total = done, total
  if self.shown then
    self:show()
  end
end

--- It is over; `<C-c>` is for what was under way before.
function Running:finish()
  if self.over then
    return
  end
  self.over = true
  if self.view and self.view.cancel == self.cancel then
    self.view.cancel = self.before
  end
  if self.shown then
    vim.api.nvim_echo({ { "" } }, false, {})
  end
end

--- Something begins. `cancel` ends it, and may say how.
---@param title string
---@param view? lazycelery.Asker
---@param cancel fun(running: lazycelery.Running): string?
---@return lazycelery.Running
function M.new(title, view, cancel)
  local running =
    setmetatable({ title = title, done = 0, view = view, over = false, shown = false }, Running)
  running.cancel = function()
    if running.over then
      return "Nothing is under way"
    end
    return cancel(running)
  end
  if view then
    running.before, view.cancel = view.cancel, running.cancel
  end
  vim.defer_fn(function()
    running:show()
  end, SHOW_MS)
  return running
end

return M
