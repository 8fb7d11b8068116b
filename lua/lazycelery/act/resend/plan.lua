--- What a draft asks the server for, and where in the draft belongs what the server says of it. Pure.
local draft = require("lazycelery.act.resend.draft")

local M = {}

--- What an empty one would have to be.
local empty = { args = "[]", kwargs = "{}" }

---@param given lazycelery.Value
---@param message string
---@return lazycelery.Mistake
local function mistake(given, message)
  local place = given.places[1] or { given.line, 0 }
  return { line = place[1], column = place[2], message = message }
end

--- Parameters of `task/send`, as far as they can be made: what is JSON is the server's to judge.
---@param values table<string, lazycelery.Value>
---@return table
---@return lazycelery.Mistake[]
function M.params(values)
  local params, mistakes = {}, {}
  for _, name in ipairs(draft.fields) do
    local given = values[name] or { text = "", line = 0, places = {} }
    local text = given.text
    if text == "" then
      if name == "name" then
        table.insert(mistakes, mistake(given, "the task's name is wanted"))
      elseif empty[name] then
        local wanted = ("`%s` is wanted: %s where there are none"):format(name, empty[name])
        table.insert(mistakes, mistake(given, wanted))
      end
    elseif draft.json[name] then
      params[name .. "_json"] = text
    elseif name == "priority" or name == "countdown" then
      params[name] = text:find("^%-?%d+%.?%d*$") and tonumber(text) or nil
      if not params[name] then
        table.insert(mistakes, mistake(given, ("`%s` is a number"):format(name)))
      end
    else
      params[name] = text
    end
  end
  return params, mistakes
end

--- The place of what the server found wrong; nil where it is about no field.
---@param err lazycelery.Error
---@param values table<string, lazycelery.Value>
---@param lines string[] the text that was looked at
---@return lazycelery.Mistake?
function M.mistake(err, values, lines)
  local data = err.data or {}
  local message = err.message
  local name = data.parameter or message:match("^`([%l_]+)`")
  if data.kind == "unknown_queue" then
    name = "queue"
  end
  local given = name and values[name:gsub("_json$", "")]
  if not given then
    return nil
  elseif not data.line then
    return mistake(given, message)
  end
  local line, column = draft.place(given, lines, data.line, data.column or 1)
  -- The place is marked: it need not be told.
  message = message:gsub("^`[%l_]+`: ", ""):gsub(" at line %d+, column %d+$", "")
  return { line = line, column = column, message = message }
end

return M
