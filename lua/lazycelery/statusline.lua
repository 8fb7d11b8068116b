--- The rest of the state, in words: no colours of ours, the background is the scheme's.
local badge = require("lazycelery.badge")
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local format = require("lazycelery.format")
local grid = require("lazycelery.table")
local text = require("lazycelery.text")

local M = {}

local tabs = {
  { noun = "worker", title = "Workers", count = "workers" },
  { noun = "task", title = "Tasks", count = "tasks" },
  { noun = "queue", title = "Queues", count = "queues" },
  { noun = "environment", title = "Environments" },
}

--- `2 Tasks 48,210`; a count that is not known is left out.
---@param index integer
---@param row lazycelery.EnvironmentRow?
---@return string
local function place(index, row)
  local tab = assert(tabs[index])
  local counts = row and row.counts or {}
  local count = tab.count and counts[tab.count] or nil
  if tab.noun == "environment" then
    count = #environment.names()
  end
  return ("%d %s%s"):format(index, tab.title, count and " " .. format.count(count) or "")
end

--- The places one can be at, from all in comfort to where one is, for less and less room. A list
--- that is of one thing, as the messages of a queue are, has titles in its header: here it says which.
---@param view lazycelery.View
---@param row lazycelery.EnvironmentRow?
---@return string[]
local function places(view, row)
  local all, here = {}, {}
  local of = view.def.layout == "list" and view.id.key
  for i, tab in ipairs(tabs) do
    local current = tab.noun == view.def.noun
    if tab.noun == "environment" and not current and #environment.names() < 2 then
      break
    end
    local said = place(i, row) .. (current and of and ": " .. of or "")
    all[i] = current and "[" .. said .. "]" or said
    here[#here + 1] = current and all[i] or nil
  end
  return { table.concat(all, " · "), table.concat(all, "  "), here[1] or "" }
end

--- `/state:failure: 12 of 48,210`, and how many rows lack what the filter asks for.
---@param view lazycelery.View
---@param row lazycelery.EnvironmentRow?
---@return string?
local function filter(view, row)
  if not view.filter or view.filter == "" then
    return nil
  elseif not view.loaded or not view.total then
    return "/" .. view.filter
  end
  local all ---@type integer?
  for _, tab in ipairs(tabs) do
    local counts = tab.noun == view.def.noun and row and row.counts or {}
    all = counts[tab.count or ""] or all
  end
  local most = all and math.max(all, view.total) --[[@as integer?]]
  local found = (view.exact == false and "at least " or "") .. format.count(view.total)
  local of = most and " of " .. format.count(most) or " match"
  local undecided = view.undecided or 0
  local open = undecided > 0 and (", %s undecided"):format(format.count(undecided)) or ""
  return ("/%s: %s%s%s"):format(view.filter, found, of, open)
end

--- The order of a list that no title on the screen shows, its column having given way.
---@param view lazycelery.View
---@return string?
local function hidden_order(view)
  local sort = view.sort
  if not sort then
    return nil
  end
  local field = sort:gsub("^%-", "")
  for _, shown in ipairs(view.grid.shown) do
    if shown.column.sort == field then
      return nil
    end
  end
  for _, column in ipairs(view.grid.columns) do
    if column.sort == field then
      return "by " .. vim.trim(column.title) .. grid.arrow(sort, config.options.ascii)
    end
  end
end

--- Figures of the cluster, the most telling last: the first give way.
---@param row lazycelery.EnvironmentRow?
---@return string[]
local function figures(row)
  local parts, counts = {}, row and row.counts or {}
  -- A rate is of now, and of the past there is none.
  local rates = row and not environment.is_past(row.name) and row.rates
  local ascii = config.options.ascii
  if rates then
    local ended = (rates.succeeded or 0) + (rates.failed or 0)
    if ended > 0 then
      local share = format.percent((rates.succeeded or 0) / ended)
      table.insert(parts, (ascii and "ok " or "✓ ") .. share)
    end
    if rates.received then
      table.insert(parts, (ascii and "in " or "↓ ") .. format.rate(rates.received) .. "/s")
    end
  end
  if counts.active then
    table.insert(parts, format.count(counts.active) .. " active")
  end
  if counts.queued then
    table.insert(parts, format.count(counts.queued) .. " queued")
  end
  return parts
end

--- What stands at the left, the fullest text that fits: a filter and its count before the tabs.
---@param view lazycelery.View
---@param row lazycelery.EnvironmentRow?
---@param width integer
---@return string
local function left(view, row, width)
  local name = view.id.environment
  local old = environment.lost_for(name)
  local brief = view.def.global and " lazycelery" or (" %s %s"):format(name, (badge.glyph(name)))
  local transport = row and row.transport and " " .. row.transport or ""
  local full = brief .. transport .. (old and (", %s old"):format(format.age(old)) or "")
  local parts = { filter(view, row) }
  parts[#parts + 1] = hidden_order(view)
  local asked = #parts > 0 and table.concat(parts, "   ") or nil
  local last
  for _, head in ipairs({ full, brief }) do
    for _, tab_line in ipairs(places(view, row)) do
      last = text.clean(table.concat({ head, tab_line, asked }, "   "))
      if text.width(last) <= width then
        return last
      end
    end
  end
  return text.cut(asked and text.clean(brief .. "   " .. asked) or last --[[@as string]], width)
end

--- The statusline of a view, `%` doubled, at most `width` cells.
---@param view lazycelery.View
---@param width integer
---@return string
function M.text(view, width)
  local row = environment.get(view.id.environment)
  local said = left(view, row, width)
  local parts = figures(row)
  while #parts > 0 and text.width(said) + text.width(table.concat(parts, "  ")) + 3 > width do
    table.remove(parts, 1)
  end
  local right = table.concat(parts, "  ")
  return (said:gsub("%%", "%%%%")) .. "%=" .. (right:gsub("%%", "%%%%")) .. " "
end

--- Draws every statusline again when an environment changes: whose text is shown in one of another's
--- making. Views have theirs set.
local function keep_fresh()
  keep_fresh = function() end
  local due = false
  environment.on_change(function()
    if due or config.options.calm then
      return
    end
    due = true
    vim.schedule(function()
      due = false
      vim.cmd("redrawstatus!")
    end)
  end)
end

--- The same for other statusline plugins: the environment's state, without tabs, `%` doubled.
---@param name string
---@return string
function M.brief(name)
  local row = environment.get(name)
  if not row then
    return ""
  end
  keep_fresh()
  local parts = vim.list_extend({ name .. " " .. badge.glyph(name) }, figures(row))
  return (text.clean(table.concat(parts, "  ")):gsub("%%", "%%%%"))
end

return M
