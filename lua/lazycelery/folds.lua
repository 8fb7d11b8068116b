--- The folds of a page: which sections each window has closed. Neovim moves expression folds along
--- with their lines, but splits one whose first and last line change at once; what a window had
--- closed is closed anew where that happened. Knows a page by its headings, not what it is about.
local M = {}

M.OPEN, M.SHUT = "▾", "▸"

--- Sections that a page shows closed at first: raw text that few people ask for.
local at_first = { "Message", "Configuration", "Statistics", "Registered" }

---@class lazycelery.Section
---@field id string steady, where the title changes
---@field title string
---@field first integer line of the heading
---@field last integer

---@param line string
---@return string? title
local function title_of(line)
  return line:match("^" .. M.OPEN .. " (.*)$")
end

--- The sections of lines; `ids` names each line, where that is known.
---@param lines string[]
---@param ids? string[]
---@return lazycelery.Section[]
function M.sections(lines, ids)
  local found = {} ---@type lazycelery.Section[]
  for lnum, line in ipairs(lines) do
    local title = title_of(line)
    local open = found[#found]
    if title then
      found[#found + 1] =
        { id = ids and ids[lnum] or title, title = title, first = lnum, last = lnum }
    elseif open and open.last == lnum - 1 and line:find("^   ") then
      open.last = lnum
    end
  end
  return found
end

--- 'foldexpr': a section reaches from its heading to the blank line before the next.
---@return string
function M.expr()
  local line = vim.fn.getline(vim.v.lnum) --[[@as string]]
  if title_of(line) then
    return ">1"
  end
  return line:find("^   ") and "1" or "0"
end

--- The heading of the fold that is drawn, turned.
---@return string
function M.text()
  local line = vim.fn.getline(vim.v.foldstart) --[[@as string]]
  return (line:gsub("^" .. M.OPEN, M.SHUT))
end

--- What each window has closed of a page, by the sections' ids.
---@param buf integer
---@param lines string[]
---@param ids string[]
---@return table<integer, table<string, true>>
function M.save(buf, lines, ids)
  local saved = {}
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    local shut = {}
    vim.api.nvim_win_call(win, function()
      for _, section in ipairs(M.sections(lines, ids)) do
        if vim.fn.foldclosed(section.first) == section.first then
          shut[section.id] = true
        end
      end
    end)
    saved[win] = shut
  end
  return saved
end

---@param section lazycelery.Section
---@param shut boolean
---@return boolean
local function is_so(section, shut)
  local first = vim.fn.foldclosed(section.first)
  if shut then
    return first == section.first and vim.fn.foldclosedend(first) == section.last
  end
  return first == -1 and vim.fn.foldclosed(section.last) == -1
end

--- Closes in the current window what is in `shut`, and opens the rest.
---@param sections lazycelery.Section[]
---@param shut table<string, true>
local function set(sections, shut)
  local so = true
  for _, section in ipairs(sections) do
    so = so and is_so(section, shut[section.id] or false)
  end
  if so then
    return
  end
  vim.cmd("normal! zX")
  for _, section in ipairs(sections) do
    if shut[section.id] then
      vim.cmd(("silent! %dfoldclose"):format(section.first))
    end
  end
end

--- Makes each window show closed what `saved` holds; without it, what is closed at first.
---@param buf integer
---@param lines string[]
---@param ids string[]
---@param saved? table<integer, table<string, true>>
function M.restore(buf, lines, ids, saved)
  local sections = M.sections(lines, ids)
  local usual = {}
  for _, section in ipairs(sections) do
    for _, title in ipairs(at_first) do
      if vim.startswith(section.title, title) then
        usual[section.id] = true
      end
    end
  end
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    vim.api.nvim_win_call(win, function()
      set(sections, saved and saved[win] or usual)
    end)
  end
end

return M
