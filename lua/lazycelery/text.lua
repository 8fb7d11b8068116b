--- Text from outside made fit for one line of a buffer: control and direction characters shown
--- escaped, cut and padded by display width. Pure.
local M = {}

local strwidth = vim.api.nvim_strwidth

--- Direction controls and separators that would reorder or break what stands beside them.
local hidden = {
  ["\226\128\142"] = "<200e>",
  ["\226\128\143"] = "<200f>",
  ["\226\128\168"] = "<2028>",
  ["\226\128\169"] = "<2029>",
  ["\226\128\170"] = "<202a>",
  ["\226\128\171"] = "<202b>",
  ["\226\128\172"] = "<202c>",
  ["\226\128\173"] = "<202d>",
  ["\226\128\174"] = "<202e>",
  ["\226\129\166"] = "<2066>",
  ["\226\129\167"] = "<2067>",
  ["\226\129\168"] = "<2068>",
  ["\226\129\169"] = "<2069>",
}

local named = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

---@param byte string
---@return string
local function escape(byte)
  return named[byte] or ("\\x%02x"):format(byte:byte())
end

--- The text as it can stand in a row: nothing in it moves the cursor or turns the direction.
---@param text string
---@return string
function M.clean(text)
  -- Nearly every text is fit as it is, and one look tells.
  if not text:find("[%c\194\216\226]") then
    return text
  end
  text = text:gsub("%c", escape)
  text = text:gsub("\194([\128-\159])", function(byte)
    return ("\\x%02x"):format(byte:byte())
  end)
  text = text:gsub("\216\156", "<061c>")
  return (text:gsub("\226[\128\129][\128-\191]", hidden))
end

--- Without blanks at its end. A pattern would try at each blank of the text.
---@param text string
---@return string
function M.trim_end(text)
  local last = #text
  while text:byte(last) == 32 do
    last = last - 1
  end
  return text:sub(1, last)
end

---@param text string
---@return integer cells
function M.width(text)
  -- Bytes are cells where all are printable ASCII, which nearly every cell is.
  if not text:find("[\128-\255%c]") then
    return #text
  end
  return strwidth(text)
end

--- The first characters of `text` that fit `cells`.
---@param text string
---@param cells integer
---@return string
function M.head(text, cells)
  if not text:find("[\128-\255]") then
    return text:sub(1, cells)
  end
  local low, high = 0, vim.fn.strchars(text)
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if strwidth(vim.fn.strcharpart(text, 0, middle)) <= cells then
      low = middle
    else
      high = middle - 1
    end
  end
  return vim.fn.strcharpart(text, 0, low)
end

--- The last characters of `text` that fit `cells`.
---@param text string
---@param cells integer
---@return string
function M.tail(text, cells)
  local count = vim.fn.strchars(text)
  local start = math.max(0, count - cells)
  while start < count and strwidth(vim.fn.strcharpart(text, start)) > cells do
    start = start + 1
  end
  return vim.fn.strcharpart(text, start)
end

--- Cuts to `cells`, with `…` in place of what is missing, from the right or, for names whose end
--- tells more, from the left.
---@param text string
---@param cells integer
---@param from_left? boolean
---@return string
function M.cut(text, cells, from_left)
  if M.width(text) <= cells then
    return text
  elseif cells < 1 then
    return ""
  elseif from_left then
    return "…" .. M.tail(text, cells - 1)
  end
  return M.head(text, cells - 1) .. "…"
end

--- A sentence in lines of at most `cells`, broken at blanks; a word that is longer stays whole.
---@param text string
---@param cells integer
---@return string[] lines at least one
function M.wrap(text, cells)
  local lines, line = {}, ""
  for blanks, word in text:gmatch("( *)([^ ]+)") do
    if line ~= "" and M.width(line .. blanks .. word) > cells then
      lines[#lines + 1] = line
      line = word
    else
      line = line .. blanks .. word
    end
  end
  lines[#lines + 1] = line
  return lines
end

---@param text string
---@param cells integer
---@param right? boolean aligned right
---@return string
function M.pad(text, cells, right)
  local missing = cells - M.width(text)
  if missing <= 0 then
    return text
  end
  local blanks = (" "):rep(missing)
  return right and blanks .. text or text .. blanks
end

return M
