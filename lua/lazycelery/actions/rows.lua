--- What is done with rows by who reads them: yanked, sorted, narrowed.
local filter = require("lazycelery.filter")
local paint = require("lazycelery.paint")
local tell = require("lazycelery.tell")
local views = require("lazycelery.view")

local M = {} ---@type table<string, lazycelery.Action>

---@param message string
local function say(message)
  vim.api.nvim_echo({ { message } }, false, {})
end

--- What an action on rows is meant for: the row of each line; of a page, whose row is one, what
--- stands on its lines, each text once.
---@param view lazycelery.View
---@param press lazycelery.Press
---@param of fun(row: table, item: any): string?
---@return string[]
local function chosen(view, press, of)
  local found, known, page = {}, {}, view.def.layout == "detail"
  for line = press.first, press.last do
    local row, item = views.row(view, line)
    local text = row and of(row, item)
    if text and not (page and known[text]) then
      known[text] = true
      found[#found + 1] = text
    end
  end
  return found
end

--- Puts texts into the register asked for, as `y` would: one within a line, several as lines. Says
--- what was put there, so that a clipboard that failed is seen.
---@param texts string[]
---@param register string
---@param several string what they are, where there are more than one
---@param remark? string
local function yank(texts, register, several, remark)
  if #texts > 0 then
    vim.fn.setreg(register, table.concat(texts, "\n"), #texts > 1 and "V" or "v")
    say((#texts > 1 and ("%d %s"):format(#texts, several) or texts[1]) .. (remark or ""))
  end
end

M.yank_id = {
  description = "yank the id",
  rows = true,
  run = function(view, press)
    local ids = chosen(view, press, function(row, item)
      return item and item.id or view.def.identity(row)
    end)
    yank(ids, press.register, "ids yanked")
  end,
}

M.yank_arguments = {
  description = "yank the arguments",
  rows = true,
  run = function(view, press)
    local cut = false
    local texts = chosen(view, press, function(row)
      local args, kwargs = row.args_json or row.args, row.kwargs_json or row.kwargs
      cut = cut or row.args_cut or false
      return (args or kwargs) and vim.trim((args or "") .. " " .. (kwargs or "")) or nil
    end)
    if #texts == 0 then
      return say("The arguments are not known")
    end
    yank(texts, press.register, "tasks' arguments yanked", cut and "   (cut)" or "")
  end,
}

--- What `gs` sorts by next: a column's own direction, the other, then the order of before.
---@param current string?
---@param usual string? the view's own
---@param column lazycelery.Column
---@return string? sort
local function next_sort(current, usual, column)
  local one, other = column.sort, "-" .. column.sort ---@type string?, string?
  if column.descending then
    one, other = other, one
  end
  if current == one then
    return other
  elseif current == other and usual ~= one and usual ~= other then
    return usual
  end
  return one
end

--- The titles of those columns on the screen that sort.
---@param view lazycelery.View
---@return string
local function sorting(view)
  local titles = {}
  for _, shown in ipairs(view.grid.shown) do
    if shown.column.sort then
      titles[#titles + 1] = vim.trim(shown.column.title)
    end
  end
  return table.concat(titles, ", ")
end

---@param view lazycelery.View
local function sort(view)
  local column =
    require("lazycelery.table").column_at(view.grid, vim.fn.virtcol(".") --[[@as integer]] - 1)
  if not column or sorting(view) == "" then
    return say("Nothing to sort")
  elseif not column.sort then
    return say(("%s does not sort; what does: %s"):format(column.title, sorting(view)))
  end
  local before = view.sort
  local wanted = next_sort(before or view.def.sort, view.def.sort, column)
  view.sort, view.let_go = wanted ~= view.def.sort and wanted or nil, true
  views.update(view, { sort = wanted }, function(err)
    if err then
      view.sort = before
      tell.of(err.message, vim.log.levels.ERROR)
    end
  end)
  paint.now(view, true)
end

M.sort = {
  description = "sort by the column under the cursor; again: reverse, then the usual order",
  run = sort,
}

M.load = {
  description = "load more rows",
  run = function(view)
    if not views.grow(view) then
      say(("All that can be loaded is: %d rows (option `rows`)"):format(#view.keys))
    end
  end,
}

M.filter = {
  description = "filter",
  run = function(view)
    filter.edit(view)
  end,
}

M.clear_filter = {
  description = "clear the filter",
  run = function(view)
    filter.keep(view, "")
  end,
}

return M
