--- Arguments as they are given on a command line: `[1, 2]`, `{"x": 1}`, or one after the other. Where
--- the first ends is found by its brackets; what is wrong inside is the server's to say. Pure.
local M = {}

--- The end of the bracket that a text begins with.
---@param text string
---@return integer?
local function closing(text)
  local depth, at = 0, 1
  while true do
    local found = text:find('["%[%]{}]', at)
    if not found then
      return nil
    end
    local char = text:sub(found, found)
    if char == '"' then
      repeat
        found = text:find('["\\]', found + 1)
        if not found then
          return nil
        end
        local escaped = text:sub(found, found) == "\\"
        found = escaped and found + 1 or found
      until not escaped
    else
      depth = depth + (char:find("[%[{]") and 1 or -1)
      if depth == 0 then
        return found
      end
    end
    at = found + 1
  end
end

---@param text string
---@return string? args
---@return string? kwargs
---@return string? mistake
function M.split(text)
  text = vim.trim(text)
  local first = text:sub(1, 1)
  if first == "{" then
    return nil, text
  elseif first ~= "[" then
    return nil, nil, "arguments are [args], {kwargs}, or both: [args] {kwargs}"
  end
  local last = closing(text)
  local rest = last and vim.trim(text:sub(last + 1)) or ""
  if last and rest:sub(1, 1) == "{" then
    return text:sub(1, last), rest
  end
  return text
end

return M
