--- What a filter may go on with. The filter line asks the server, which has seen everything; the
--- command line cannot wait, and is told what open views hold.
local client = require("lazycelery.client")
local registry = require("lazycelery.registry")

local M = {}

--- Fields of each noun whose lists take a filter, as the server told them.
local fields = {} ---@type table<string, string[]>
local nouns = { "worker", "task", "queue" }

--- Members of a row that are not called as the field is.
local members = {
  worker = { name = "hostname", worker = "hostname", state = "status", queue = "queues" },
  queue = { queue = "name", worker = "workers" },
}

---@param method string
---@return boolean
local function is_known(method)
  local info = client.info()
  local methods = info and info.capabilities and info.capabilities.methods or {}
  return vim.list_contains(methods, method)
end

---@class lazycelery.Completion
---@field from integer characters before what is completed
---@field items { text: string, kind: string, detail?: string }[]

--- Asks what may stand at a position of a filter; an older server is not asked.
---@param view lazycelery.View of whose environment
---@param noun string
---@param text string
---@param position integer characters
---@param callback fun(found: lazycelery.Completion)
local function ask(view, noun, text, position, callback)
  if not is_known("filter/complete") then
    return
  end
  client.request("filter/complete", {
    noun = noun,
    text = text,
    position = position,
    environment = not view.def.global and view.id.environment or nil,
  }, function(err, found)
    if not err then
      callback(found)
    end
  end)
end

--- Learns the fields of all nouns, once, for the command line: with the first view that takes a
--- filter, since `:LazyCelery tasks …` may be typed before any task was shown.
---@param view lazycelery.View
function M.learn(view)
  for _, noun in ipairs(view.def.filtered and nouns or {}) do
    if not fields[noun] then
      ask(view, noun, "", 0, function(found)
        fields[noun] = {}
        for _, item in ipairs(found.items) do
          if item.kind == "field" then
            table.insert(fields[noun], item.text)
          end
        end
      end)
    end
  end
end

--- Opens the menu where the cursor is, if the line still reads as it did when it was asked.
---@param view lazycelery.View
function M.menu(view)
  local line, column = vim.api.nvim_get_current_line(), vim.fn.col(".") - 1
  local buf = vim.api.nvim_get_current_buf()
  ask(view, view.def.noun, line, vim.fn.strchars(line:sub(1, column)), function(found)
    local same = vim.api.nvim_get_current_buf() == buf
      and vim.api.nvim_get_current_line() == line
      and vim.fn.col(".") - 1 == column
    if not same or vim.api.nvim_get_mode().mode:sub(1, 1) ~= "i" then
      return
    end
    local items = vim.tbl_map(function(item)
      return { word = item.text, menu = item.detail, kind = item.kind, icase = 1 }
    end, found.items)
    vim.fn.complete(vim.fn.byteidx(line, found.from) + 1, items)
  end)
end

--- 'omnifunc' of the filter line: the menu comes when the server has answered.
---@param find 0|1
---@return integer|string[]
function M.omnifunc(find)
  if find == 0 then
    return {}
  end
  local view = registry.get(vim.b.lazycelery_view)
  if view then
    vim.schedule(function()
      M.menu(view)
    end)
  end
  return -3
end

--- Values of a field that open views have seen.
---@param noun string
---@param field string
---@return table<string, true>
local function seen(noun, field)
  local member = members[noun] and members[noun][field] or field
  local found = {}
  for _, view in ipairs(registry.all()) do
    for _, row in pairs(view.def.noun == noun and view.rows or {}) do
      local value = row[member]
      for _, one in ipairs(type(value) == "table" and value or { value }) do
        if type(one) == "string" then
          found[field == "state" and one:lower() or one] = true
        end
      end
    end
  end
  return found
end

--- What the last word of `text` may become, for the command line.
---@param noun string
---@param text string
---@return string[]
function M.words(noun, text)
  local word = text:match("%S*$") or ""
  local negation, field, listed, last = word:match("^(!?)([%l_]+):(.-)([^,]*)$")
  local found = {}
  if field and last then
    for value in vim.spairs(seen(noun, field)) do
      if vim.startswith(value:lower(), last:lower()) then
        found[#found + 1] = ("%s%s:%s%s"):format(negation, field, listed, value)
      end
    end
    return found
  end
  local bang = word:sub(1, 1) == "!" and "!" or ""
  for _, name in ipairs(fields[noun] or {}) do
    if vim.startswith(name, word:sub(#bang + 1)) then
      found[#found + 1] = bang .. name
    end
  end
  return found
end

return M
