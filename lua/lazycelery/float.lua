--- Small windows above a view: nameless scratch buffers that hold text and nothing else.
local buffer = require("lazycelery.buffer")
local keys = require("lazycelery.keys")
local text = require("lazycelery.text")

local M = {}

---@class lazycelery.Float
---@field lines string[]
---@field spans lazycelery.Span[][]
---@field filetype string
---@field enter boolean
---@field title? string
---@field cursor? boolean at the cursor, else in the middle
---@field below? integer lines that stay free below it
---@field close string[] keys that close it
---@field wrap? boolean

local namespace = vim.api.nvim_create_namespace("lazycelery.float")

--- Lines that one shows at most.
---@return integer
function M.most()
  return vim.o.lines - 4
end

---@param float lazycelery.Float
---@param cells integer width of the text
---@return table config
local function place(float, cells)
  local width = math.max(1, math.min(cells, vim.o.columns - 4))
  local tall = 0
  for _, line in ipairs(float.lines) do
    tall = tall + (float.wrap and math.max(1, math.ceil(text.width(line) / width)) or 1)
  end
  local height = math.max(1, math.min(tall, M.most() - (float.below or 0)))
  local options = { width = width, height = height, style = "minimal", focusable = true }
  if float.cursor then
    options.relative, options.row, options.col = "cursor", 1, 0
  else
    options.relative = "editor"
    local room = vim.o.lines - (float.below or 0) - height
    options.row = math.max(0, math.floor(room / 2) - 1)
    options.col = math.floor((vim.o.columns - width) / 2)
  end
  return options
end

---@param float lazycelery.Float
---@return integer win
function M.open(float)
  local view = vim.api.nvim_get_current_buf()
  local cells = 20
  for _, line in ipairs(float.lines) do
    cells = math.max(cells, text.width(line) + 1)
  end
  local buf = buffer.scratch({
    listed = false,
    filetype = float.filetype,
    lines = float.lines,
    bufhidden = "wipe",
    keys = function(made)
      keys.close_doors(made)
      vim.b[made].lazycelery_view = view
      for _, lhs in ipairs(float.close) do
        keys.map(made, "n", lhs, "close", function()
          pcall(vim.api.nvim_win_close, 0, true)
        end)
      end
    end,
  })
  buffer.colour(buf, namespace, float.spans)
  local win = vim.api.nvim_open_win(buf, float.enter, place(float, cells))
  local options = vim.wo[win][0]
  options.wrap = float.wrap or false
  options.linebreak = false
  options.list = false
  options.spell = false
  options.winbar = ""
  return win
end

return M
