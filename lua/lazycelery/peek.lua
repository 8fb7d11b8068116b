--- A row in full, in a float at the cursor: what the columns cut is whole here.
local float = require("lazycelery.float")
local format = require("lazycelery.format")
local text = require("lazycelery.text")
local views = require("lazycelery.view")

local M = {}

--- Members of rows that are moments, and so shown as such.
local moments = {}
for _, field in ipairs({
  "seen",
  "sent",
  "received",
  "started",
  "succeeded",
  "failed",
  "retried",
  "revoked",
  "rejected",
  "finished",
  "eta",
  "expires",
  "oldest",
  "counted_since",
}) do
  moments[field] = true
end

--- Members that are lengths of time.
local lengths = { runtime = true, skew = true }

local open ---@type integer? the window

---@param field string
---@param value any
---@return string
local function show(field, value)
  if type(value) == "number" and moments[field] and value > 1e8 then
    return format.moment(value)
  elseif type(value) == "number" and lengths[field] then
    return format.duration(value)
  elseif type(value) == "number" and value % 1 == 0 then
    return ("%d"):format(value)
  elseif type(value) == "table" then
    return vim.inspect(value, { newline = " ", indent = "" })
  end
  return tostring(value)
end

--- Members of a row: those that identify it first, the others by name.
---@param row table
---@return string[]
local function fields(row)
  local first =
    { "name", "hostname", "uuid", "state", "status", "args", "kwargs", "result", "exception" }
  local order, seen = {}, { key = true }
  for _, field in ipairs(first) do
    if row[field] ~= nil then
      order[#order + 1] = field
    end
    seen[field] = true
  end
  local rest = vim.tbl_filter(function(field)
    return not seen[field] and not field:find("_json$")
  end, vim.tbl_keys(row))
  table.sort(rest)
  return vim.list_extend(order, rest)
end

---@param row table
---@param lacking? string what it does not tell, and why
---@return string[] lines
---@return lazycelery.Span[][] spans
function M.lines(row, lacking)
  local lines, spans = {}, {}
  for _, field in ipairs(fields(row)) do
    local label = text.pad(field, 14) .. " "
    for i, piece in ipairs(vim.split(show(field, row[field]), "\n")) do
      lines[#lines + 1] = " " .. (i == 1 and label or (" "):rep(#label)) .. text.clean(piece)
      spans[#lines] = { { 1, 1 + #label, "LazyCeleryDim" } }
    end
  end
  if lacking then
    lines[#lines + 1] = " " .. lacking
    spans[#lines] = { { 0, #lacking + 1, "LazyCeleryDim" } }
  end
  return lines, spans
end

---@return boolean closed whether one was open
function M.close()
  local win = open
  open = nil
  if not win or not vim.api.nvim_win_is_valid(win) then
    return false
  end
  vim.api.nvim_win_close(win, true)
  return true
end

---@param view lazycelery.View
function M.open(view)
  if open and vim.api.nvim_win_is_valid(open) then
    return vim.api.nvim_set_current_win(open)
  end
  local row, item = views.row(view)
  if view.def.layout == "detail" then
    row = item and item.row
  end
  if not row then
    return vim.api.nvim_echo({ { "Nothing more is known here" } }, false, {})
  end
  local _, lacking = (view.def.lacks or function() end)(row)
  local lines, spans = M.lines(row, lacking)
  open = float.open({
    lines = lines,
    spans = spans,
    filetype = "lazycelery-peek",
    enter = false,
    cursor = true,
    wrap = true,
    close = { "q", "<Esc>" },
  })
  vim.api.nvim_create_autocmd({ "CursorMoved", "BufLeave" }, {
    buffer = view.buf,
    once = true,
    callback = function()
      if open and vim.api.nvim_get_current_win() ~= open then
        vim.schedule(function()
          if open and vim.api.nvim_get_current_win() ~= open then
            M.close()
          end
        end)
      end
    end,
  })
end

return M
