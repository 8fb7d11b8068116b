--- Tasks in words: one by its name and id, several by their number; and what is said of many of them,
--- each thing once.
local detail = require("lazycelery.detail")
local format = require("lazycelery.format")
local text = require("lazycelery.text")

local M = {}

--- Cells of a name in an answer: pickers cut what is long.
local NAME_CELLS = 32

--- Lines of remarks that a sheet has.
local REMARKS = 200

--- Cells that a sheet takes.
local SHEET_CELLS = 100

--- The first characters of an id, as the lists show it.
---@param uuid string
---@return string
function M.short(uuid)
  return text.clean(uuid:sub(1, 8))
end

---@param uuid string
---@param name? string
---@return string
function M.one(uuid, name)
  if not name then
    return "task " .. M.short(uuid)
  end
  return text.cut(text.clean(name), NAME_CELLS, true) .. " " .. M.short(uuid)
end

--- `task 5f2c9e10`, or `12 tasks`.
---@param uuids string[]
---@param names table<string, string>
---@return string
function M.of(uuids, names)
  if #uuids == 1 then
    return M.one(uuids[1], names[uuids[1]])
  end
  return format.plural(#uuids, "task")
end

--- A sheet to be filled.
---@return lazycelery.Page
function M.page()
  return detail.page(math.min(SHEET_CELLS, vim.o.columns - 4))
end

---@param page lazycelery.Page
---@return lazycelery.Sheet
function M.sheet(page)
  local picture = page:picture()
  return { lines = picture.lines, spans = picture.spans }
end

--- Things said of many, each once, with those it is said of.
---@param said (lazycelery.Refused|lazycelery.Warning)[]
---@return { text: string, kind: string, uuids: string[] }[]
local function each_once(said)
  local found, by_text = {}, {}
  for _, one in ipairs(said) do
    local words = one.text or one.reason or one.kind
    local entry = by_text[words]
    if not entry then
      entry = { text = words, kind = one.kind, uuids = {} }
      by_text[words] = entry
      found[#found + 1] = entry
    end
    table.insert(entry.uuids, one.uuid)
  end
  return found
end

--- One line for each thing that is said, and of how many tasks.
---@param page lazycelery.Page
---@param said (lazycelery.Refused|lazycelery.Warning)[]
---@param group string
---@param single? boolean it is clear of which task
function M.remarks(page, said, group, single)
  local entries = each_once(said)
  for i, entry in ipairs(entries) do
    if i > REMARKS then
      page:line({ { format.plural(#entries - REMARKS, "other remark"), "LazyCeleryDim" } })
      return
    end
    local whom = #entry.uuids == 1 and M.short(entry.uuids[1])
      or #entry.uuids > 1 and format.plural(#entry.uuids, "task")
      or ""
    local before = single and "" or text.pad(whom, 12) .. "  "
    local lines = text.wrap(text.clean(entry.text), page.width - #before - 4)
    for at, line in ipairs(lines) do
      page:line({ { at == 1 and before or (" "):rep(#before), "LazyCeleryDim" }, { line, group } })
    end
  end
end

return M
