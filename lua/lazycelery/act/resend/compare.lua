--- What was changed in a JSON text, said before it is sent: a formatter that rounds a number or sorts
--- keys is seen here. Texts are cut into tokens and compared; nothing is decoded. Pure.
local format = require("lazycelery.format")

local M = {}

--- Bytes that are shown around what differs, and of it.
local AROUND, MOST = 16, 120

--- Bytes that are compared token by token: more would hold the editor up.
local MOST_COMPARED = 128 * 1024

--- The end of the string that begins at a place.
---@param json string
---@param at integer
---@return integer
local function closing(json, at)
  while true do
    local found = json:find('["\\]', at + 1)
    if not found or json:sub(found, found) == '"' then
      return found or #json
    end
    at = found + 1
  end
end

---@param json string
---@return string[]
local function tokens(json)
  local found, at = {}, json:find("[^ \t\r\n]")
  while at do
    local first, last = json:sub(at, at), at
    if first == '"' then
      last = closing(json, at)
    elseif not first:find("[%[%]{},:]") then
      last = (json:find('[%[%]{},:" \t\r\n]', at) or #json + 1) - 1
    end
    found[#found + 1] = json:sub(at, last)
    at = json:find("[^ \t\r\n]", last + 1)
  end
  return found
end

--- How a text differs from the one that it was.
---@param old string
---@param new string
---@return string
function M.changes(old, new)
  if old == new then
    return "as it was"
  elseif #old + #new > MOST_COMPARED then
    return "changed"
  end
  local before, after = tokens(old), tokens(new)
  if #before ~= #after then
    return "changed"
  end
  local changed, counts = 0, {} ---@type integer, table<string, integer>
  for i, token in ipairs(before) do
    local other = after[i]
    if token ~= other then
      changed = changed + 1
      counts[token] = (counts[token] or 0) + 1
      counts[other] = (counts[other] or 0) - 1
    end
  end
  if changed == 0 then
    return "the same but for blanks"
  end
  for _, count in pairs(counts) do
    if count ~= 0 then
      return format.plural(changed, "value") .. " changed"
    end
  end
  return "the same, in another order"
end

--- How many bytes two texts begin with alike, no character cut in two.
---@param one string
---@param other string
---@return integer
local function alike(one, other)
  local low, high = 0, math.min(#one, #other)
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if one:sub(1, middle) == other:sub(1, middle) then
      low = middle
    else
      high = middle - 1
    end
  end
  while low > 0 and (one:byte(low + 1) or 0) >= 0x80 and (one:byte(low + 1) or 0) < 0xc0 do
    low = low - 1
  end
  return low
end

--- The place of a text where it differs from another one, and a little around it.
---@param whole string
---@param first integer bytes before that are alike
---@return string
local function excerpt(whole, first)
  local from = #whole <= MOST and 0 or math.max(0, first - AROUND)
  local to = math.min(#whole, from + MOST)
  from = from > 0 and from + vim.str_utf_start(whole, from + 1) or 0
  to = to < #whole and to + vim.str_utf_start(whole, to + 1) or #whole
  return (from > 0 and "…" or "")
    .. whole:sub(from + 1, to):gsub("%c", " ")
    .. (to < #whole and "…" or "")
end

--- Both texts where they begin to differ.
---@param old string
---@param new string
---@return string old
---@return string new
function M.around(old, new)
  local first = alike(old, new)
  return excerpt(old, first), excerpt(new, first)
end

--- A text as it begins.
---@param whole string
---@return string
function M.beginning(whole)
  return excerpt(whole, 0)
end

return M
