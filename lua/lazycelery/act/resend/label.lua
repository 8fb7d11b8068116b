--- What stands above a task that is written: what it is, and what was sent from there.
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local text = require("lazycelery.text")
local window = require("lazycelery.window")

local M = {}

---@param edit lazycelery.Edit
---@return lazycelery.Chunk[]
local function chunks(edit)
  local name, key, attempt = edit.id.environment, assert(edit.id.key), edit.attempt
  local row = environment.get(name)
  local what = edit.id.view == "edit" and "change and resend  " .. key:sub(1, 8) or "send  " .. key
  local group = row and row.production and "LazyCeleryProduction" or nil
  local now = "   :w sends, g? helps"
  if edit.sending then
    now = "   sending …"
  elseif attempt then
    local how = attempt.unknown and "perhaps sent as" or "sent as"
    local at = os.date("%H:%M:%S", attempt.at)
    now = ("   %s %s %s"):format(how, attempt.uuid:sub(1, 8), at)
  end
  return { { " " .. what .. "  " }, { name, group }, { now } }
end

---@param edit lazycelery.Edit
function M.update(edit)
  if not config.options.winbar then
    return
  end
  local pieces = vim.tbl_map(function(chunk)
    local piece = text.clean(chunk[1]):gsub("%%", "%%%%")
    return ("%%#%s#%s"):format(chunk[2] or "LazyCeleryHeader", piece)
  end, chunks(edit))
  local winbar = table.concat(pieces)
  for _, win in ipairs(window.showing(edit.buf)) do
    if vim.api.nvim_win_get_config(win).relative == "" then
      vim.wo[win][0].winbar = winbar
    end
  end
end

return M
