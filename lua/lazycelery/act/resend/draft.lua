--- The text of a task that is to be sent: `field: value`, which goes on in the lines below, up to the
--- next field. Arguments and headers are JSON, and stay the very text that they are. Pure.
---
--- No line of JSON can begin with `#` or with a bare word and a colon, since its strings cannot hold
--- the end of a line: so neither needs to be marked or escaped.
local M = {}

M.fields = { "name", "queue", "priority", "countdown", "eta", "headers", "args", "kwargs" }

--- Those whose value is JSON: it stands on lines of its own, where `!!jq .` can take it.
M.json = { headers = true, args = true, kwargs = true }

local BLANK = "[ \t\r\n]"

---@class lazycelery.TaskDraft
---@field title string[] remarks above it
---@field values table<string, string>
---@field remarks table<string, string[]> lines above a field

--- A value as it stands in the text.
---@class lazycelery.Value
---@field text string
---@field line integer where its name stands, from 0
---@field places { [1]: integer, [2]: integer }[] of each of its lines: line and byte, from 0

---@class lazycelery.Mistake
---@field line integer from 0
---@field column integer byte, from 0
---@field message string

---@param lines string[]
---@param remarks string[]?
local function remark(lines, remarks)
  for _, line in ipairs(remarks or {}) do
    lines[#lines + 1] = line == "" and "#" or "# " .. line
  end
end

---@param draft lazycelery.TaskDraft
---@return string[]
function M.render(draft)
  local lines = {}
  remark(lines, draft.title)
  for _, name in ipairs(M.fields) do
    local value = draft.values[name] or ""
    remark(lines, draft.remarks[name])
    if M.json[name] then
      lines[#lines + 1] = name .. ":"
      vim.list_extend(lines, vim.split(value, "\n", { plain = true }))
    else
      lines[#lines + 1] = vim.trim(name .. ": " .. value)
    end
  end
  return lines
end

--- A value without the blanks around it.
---@param line integer
---@param pieces { [1]: string, [2]: integer, [3]: integer }[] text, line and byte
---@return lazycelery.Value
local function value(line, pieces)
  while pieces[1] and not pieces[1][1]:find("[^ \t\r]") do
    table.remove(pieces, 1)
  end
  while #pieces > 0 and not pieces[#pieces][1]:find("[^ \t\r]") do
    table.remove(pieces)
  end
  local texts, places = {}, {}
  for i, piece in ipairs(pieces) do
    local text, column = piece[1], piece[3]
    if i == 1 then
      local blanks = #text:match("^[ \t\r]*")
      text, column = text:sub(blanks + 1), column + blanks
    end
    texts[i] = i == #pieces and text:gsub(BLANK .. "+$", "") or text
    places[i] = { piece[2], column }
  end
  return { text = table.concat(texts, "\n"), line = line, places = places }
end

---@param line string
---@return boolean
local function is_remark(line)
  return line:find("^%s*#") ~= nil
end

---@param lines string[]
---@return table<string, lazycelery.Value>
---@return lazycelery.Mistake[]
function M.parse(lines)
  local values, mistakes = {}, {}
  local name, first = nil, 0 ---@type string?, integer
  local pieces = {} ---@type table
  local function finish()
    if name then
      values[name] = value(first, pieces)
    end
  end
  for number, line in ipairs(lines) do
    local word, rest = line:match("^(%a[%w_]*):[ \t]*(.*)$")
    if word and rest then
      finish()
      local known = vim.list_contains(M.fields, word)
      name, first, pieces = known and word or nil, number - 1, {}
      if not known then
        local message = ("no field `%s`; there are %s"):format(word, table.concat(M.fields, ", "))
        table.insert(mistakes, { line = number - 1, column = 0, message = message })
      elseif values[word] then
        local message = ("`%s` stands twice"):format(word)
        table.insert(mistakes, { line = number - 1, column = 0, message = message })
      end
      pieces[1] = { rest, number - 1, #line - #rest }
    elseif name and not is_remark(line) then
      table.insert(pieces, { line, number - 1, 0 })
    elseif line:find("%S") and not is_remark(line) and #mistakes == 0 then
      local message = "a field is wanted before this: name, queue, …"
      table.insert(mistakes, { line = number - 1, column = 0, message = message })
    end
  end
  finish()
  return values, mistakes
end

--- Where in the text a place of a value is.
---@param given lazycelery.Value
---@param lines string[] the text
---@param line integer of the value, from 1
---@param column integer character of that line, from 1
---@return integer line from 0
---@return integer column byte, from 0
function M.place(given, lines, line, column)
  local place = given.places[math.min(line, math.max(1, #given.places))]
  if not place then
    return given.line, 0
  end
  local text = lines[place[1] + 1] or ""
  local byte = vim.fn.byteidxcomp(text:sub(place[2] + 1), column - 1)
  return place[1], byte < 0 and #text or place[2] + byte
end

return M
