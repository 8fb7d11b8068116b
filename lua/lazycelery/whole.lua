--- A value too large for a page, in a buffer of its own: loaded because someone asked, shown verbatim.
local buffer = require("lazycelery.buffer")
local client = require("lazycelery.client")
local keys = require("lazycelery.keys")
local tell = require("lazycelery.tell")

local M = {}

local PATIENCE_S = 60

---@param member string
---@param text string
local function show(member, text)
  local buf = buffer.scratch({
    listed = false,
    filetype = "lazycelery-value",
    lines = vim.split(text, "\n"),
    bufhidden = "wipe",
    keys = function(made)
      keys.close_doors(made)
      keys.map(made, "n", "q", "close", function()
        pcall(vim.api.nvim_win_close, 0, true)
      end)
    end,
  })
  vim.cmd("belowright split")
  vim.api.nvim_win_set_buf(0, buf)
  local options = vim.wo[0][0]
  options.winbar = " " .. member
  options.statusline = (" %s, verbatim   q closes"):format(member)
  options.wrap = true
end

--- Loads a member of the task that a view shows.
---@param view lazycelery.View
---@param member string `args_json`, `kwargs_json` or `result_json`
function M.open(view, member)
  vim.api.nvim_echo({ { ("Loading %s …"):format(member) } }, false, {})
  view.cancel = client.request("task/get", {
    environment = view.id.environment,
    uuid = view.id.key,
    full = true,
  }, function(err, row)
    view.cancel = nil
    if err then
      tell.of(err.message, vim.log.levels.ERROR)
    elseif not row[member] then
      tell.of(("%s is not there any more"):format(member), vim.log.levels.WARN)
    elseif vim.api.nvim_get_current_buf() == view.buf then
      vim.api.nvim_echo({ { "" } }, false, {})
      show(member, row[member])
    end
  end, PATIENCE_S)
end

return M
