--- What cannot be written, as diagnostics at its lines.
local draft = require("lazycelery.act.messages.draft")

local M = {}

local namespace = vim.api.nvim_create_namespace("lazycelery.messages.objections")

--- Shows it in every buffer that a plan was made of, and takes away what holds no more.
---@param plan lazycelery.QueuePlan
---@param views lazycelery.View[] by page
function M.show(plan, views)
  local by_page = {}
  for _, objection in ipairs(plan.objections) do
    by_page[objection.page] = by_page[objection.page] or {}
    table.insert(by_page[objection.page], {
      lnum = objection.line - 1,
      col = 0,
      message = objection.text,
      severity = vim.diagnostic.severity.ERROR,
      source = "lazycelery",
    })
  end
  for number, view in ipairs(views) do
    vim.diagnostic.set(namespace, view.buf, by_page[number] or {})
  end
end

--- Whether something is shown.
---@param views lazycelery.View[]
---@return boolean
function M.any(views)
  for _, view in ipairs(views) do
    if vim.diagnostic.get(view.buf, { namespace = namespace })[1] then
      return true
    end
  end
  return false
end

--- The first of them, and how many others there are.
---@param plan lazycelery.QueuePlan
---@param views lazycelery.View[]
---@return string
function M.sentence(plan, views)
  local first = plan.objections[1]
  local others = #plan.objections > 1 and (" (and %d more)"):format(#plan.objections - 1) or ""
  return ("%s, line %d: %s%s"):format(
    draft.queue(views[first.page]),
    first.line,
    first.text,
    others
  )
end

return M
