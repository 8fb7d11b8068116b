--- The rest of the state, in words: no colours of ours, the background is the scheme's.
local badge = require("lazycelery.badge")
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local format = require("lazycelery.format")
local text = require("lazycelery.text")

local M = {}

local tabs = {
  { noun = "worker", title = "Workers", count = "workers" },
  { noun = "task", title = "Tasks", count = "tasks" },
  { noun = "queue", title = "Queues", count = "queues" },
}

---@param row lazycelery.EnvironmentRow?
---@param noun string
---@param separator string
---@return string
local function places(row, noun, separator)
  local parts = {}
  for i, tab in ipairs(tabs) do
    local count = row and row.counts and row.counts[tab.count]
    local part = ("%d %s%s"):format(i, tab.title, count and " " .. format.count(count) or "")
    parts[i] = tab.noun == noun and "[" .. part .. "]" or part
  end
  return table.concat(parts, separator)
end

--- Figures of the cluster, the most telling last: the first give way.
---@param row lazycelery.EnvironmentRow?
---@return string[]
local function figures(row)
  local parts, counts, rates = {}, row and row.counts or {}, row and row.rates
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

--- The statusline of a view, `%` doubled, at most `width` cells.
---@param id lazycelery.ViewId
---@param noun string
---@param width integer
---@return string
function M.text(id, noun, width)
  local row = environment.get(id.environment)
  local old = environment.lost_for(id.environment)
  local left = (" %s %s %s   %s"):format(
    id.environment,
    (badge.glyph(id.environment)),
    (row and row.transport or "") .. (old and (", %s old"):format(format.age(old)) or ""),
    places(row, noun, width < 90 and "  " or " · ")
  )
  if id.filter and id.filter ~= "" then
    left = left .. "   /" .. id.filter
  end
  left = text.cut(text.clean(left), width)
  local parts = figures(row)
  while #parts > 0 and text.width(left) + text.width(table.concat(parts, "  ")) + 3 > width do
    table.remove(parts, 1)
  end
  local right = table.concat(parts, "  ")
  return (left:gsub("%%", "%%%%")) .. "%=" .. (right:gsub("%%", "%%%%")) .. " "
end

--- The same for other statusline plugins: the environment's state, without tabs.
---@param name string
---@return string
function M.brief(name)
  local row = environment.get(name)
  if not row then
    return ""
  end
  local parts = vim.list_extend({ name .. " " .. badge.glyph(name) }, figures(row))
  return table.concat(parts, "  ")
end

return M
