--- Help of a buffer in which a task is written: its few keys are Vim's own.
local float = require("lazycelery.float")
local text = require("lazycelery.text")

local M = {}

--- What is pressed there, and what it does.
---@type { [1]: string, [2]: string }[]
M.rows = {
  { ":w", "look it over, show what will be sent, ask, send; follow it below" },
  { ":wq ZZ", "likewise, and go back to what the window showed" },
  { ":e!", "discard what was changed, and load it anew" },
  { "<C-^>", "go back, and leave it as it is" },
  { "]d [d", "the next and the previous mistake" },
  { "!!jq .", "lay out the JSON of a line; :w tells what it changed" },
  { "g?", "this help" },
}

local KEY_CELLS = 8

function M.open()
  local title = " A task to be sent"
  local lines = { title .. "   q closes, :help lazycelery-resend tells all", "" }
  local spans = { { { 0, #title, "LazyCeleryTitle" } }, {} }
  for _, row in ipairs(M.rows) do
    lines[#lines + 1] = " " .. text.pad(row[1], KEY_CELLS) .. " " .. row[2]
    spans[#lines] = { { 1, 1 + #row[1], "LazyCeleryKey" } }
  end
  float.open({
    lines = lines,
    spans = spans,
    filetype = "lazycelery-help",
    enter = true,
    close = { "q", "<Esc>", "g?" },
  })
end

return M
