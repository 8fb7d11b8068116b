--- Asks before something is done: *No* first, and what is at stake in the answer, since pickers cut
--- prompts and preselect the first item. What one line cannot say stands in a sheet above.
---
--- The first answer counts, and what is not the exact item is No. A picker that never calls back is
--- given up when the cursor moves in the view. A question that comes late waits for a new key: what
--- the user typed meanwhile must not answer what was not there.
local environment = require("lazycelery.environment")
local float = require("lazycelery.float")
local freeze = require("lazycelery.freeze")
local keys = require("lazycelery.keys")
local tell = require("lazycelery.tell")

local M = {}

local LATE_MS = 1000
--- How long a question that came late stays to be asked.
local READY_MS = 60000

--- Lines that a picker in the message area takes: its title, the items, its prompt.
local PICKER_LINES = 3

local NO, READ = "No", "Let me read that first"

--- Text above a question.
---@class lazycelery.Sheet
---@field lines string[]
---@field spans lazycelery.Span[][]

---@class lazycelery.Question
---@field press lazycelery.Press what asked for it
---@field prompt string less than 50 characters, on one line
---@field yes string what will be done, to what and how many: `Yes, …`
---@field more? { [1]: string, [2]: fun() }[] other answers, and what they do
---@field preview? lazycelery.Sheet
---@field typed? string a name to be typed, in production: it destroys

--- What asked for it, in the user's words.
---@param press lazycelery.Press
---@return string
local function key(press)
  return press.lhs or ":LazyCelery " .. press.name
end

--- A question is open in a view: until the first answer, which alone counts.
---@param view? lazycelery.Asker
---@param answered fun(answer: string?)
---@param over? fun() called then, and where the question is given up
---@return fun(answer: string?)
local function once(view, answered, over)
  local done = false
  if view then
    freeze.confirm(view, over)
  end
  return function(answer)
    if done then
      return
    end
    done = true
    if view then
      freeze.confirmed(view)
    end
    answered(answer)
  end
end

--- Lets one of several answers be chosen, *No* first.
---@param view? lazycelery.Asker
---@param prompt string less than 50 characters, on one line
---@param answers { [1]: string, [2]: fun() }[] each, and what it does
---@param no? fun()
---@param over? fun() called before
function M.choose(view, prompt, answers, no, over)
  local items, chosen = { NO }, {}
  for _, answer in ipairs(answers) do
    table.insert(items, answer[1])
    chosen[answer[1]] = answer[2]
  end
  local answer = once(view, function(choice)
    -- What is said next is not to wait for a key because a picker in the message area has scrolled it.
    vim.cmd.redraw()
    local go = choice and chosen[choice] or no
    if go then
      go()
    elseif choice ~= NO then
      tell.of("nothing was done")
    end
  end, over)
  -- Neovim's own picker throws where `<C-c>` ends it.
  local options = { prompt = prompt, kind = "lazycelery", format_item = tostring }
  local asked, reason = pcall(vim.ui.select, items, options, answer)
  if not asked then
    answer(nil)
    if not tostring(reason):find("Keyboard interrupt", 1, true) then
      error(reason, 0)
    end
  end
end

--- In production, what destroys has its name typed. Then it is done.
---@param view lazycelery.Asker
---@param question lazycelery.Question
---@param go fun()
---@param asked? boolean whether it is production was asked
local function prove(view, question, go, asked)
  local name, typed = view.id.environment, question.typed
  local row = environment.get(name)
  if typed and not row and not asked then
    return environment.meet(function()
      prove(view, question, go, true)
    end)
  elseif not typed or not (row and row.production) then
    return go()
  end
  local prompt = ("%s is production. Type %s to go on: "):format(name, typed)
  local answer = once(view, function(text)
    if text and vim.trim(text) == typed then
      return go()
    end
    tell.of(("nothing was done: %s was not typed"):format(typed))
  end)
  vim.ui.input({ prompt = prompt }, answer)
end

---@param sheet lazycelery.Sheet
---@param more { enter: boolean, below: integer? }
---@return integer win
local function show(sheet, more)
  return float.open({
    lines = sheet.lines,
    spans = sheet.spans,
    filetype = "lazycelery-plan",
    enter = more.enter,
    below = more.below,
    wrap = true,
    close = { "q", "<Esc>" },
  })
end

local put ---@type fun(view: lazycelery.Asker, question: lazycelery.Question, go: fun())

--- The sheet alone, to be read; `<CR>` asks again.
---@param view lazycelery.Asker
---@param question lazycelery.Question
---@param sheet lazycelery.Sheet
---@param go fun()
local function read(view, question, sheet, go)
  local win = show(sheet, { enter = true })
  keys.map(vim.api.nvim_win_get_buf(win), "n", "<CR>", "ask again", function()
    vim.api.nvim_win_close(win, true)
    put(view, question, go)
  end)
  tell.of("<CR> asks again, q leaves")
end

--- Puts a question, now; what one line cannot say stands above it.
---@param view lazycelery.Asker
---@param question lazycelery.Question
---@param go fun()
function put(view, question, go)
  local answers = {}
  for _, answer in ipairs(vim.list_extend({ { question.yes, go } }, question.more or {})) do
    table.insert(answers, {
      answer[1],
      function()
        prove(view, question, answer[2])
      end,
    })
  end
  local win, sheet = nil, question.preview
  if sheet then
    win = show(sheet, { enter = false, below = PICKER_LINES + #answers + 2 })
    if vim.api.nvim_win_text_height(win, {}).all > vim.api.nvim_win_get_height(win) then
      table.insert(answers, {
        READ,
        function()
          read(view, question, sheet, go)
        end,
      })
    end
    -- A picker in the message area draws nothing else while it waits. Twice: a float that was just
    -- opened may not be there after the first.
    vim.cmd.redraw()
    vim.cmd.redraw()
  end
  M.choose(view, question.prompt, answers, nil, function()
    if win and vim.api.nvim_win_is_valid(win) then
      vim.api.nvim_win_close(win, true)
    end
  end)
end

--- Asks, unless `!` was given; then `go` is called, or that of the answer that was chosen.
---@param view lazycelery.Asker
---@param question lazycelery.Question
---@param go fun()
function M.question(view, question, go)
  local press = question.press
  if press.bang then
    return prove(view, question, go)
  elseif vim.uv.now() - press.at <= LATE_MS then
    return put(view, question, go)
  end
  view.ready = {
    press = press,
    at = vim.uv.now(),
    put = function()
      put(view, question, go)
    end,
  }
  tell.of(("ready to ask: give %s once more"):format(key(press)))
end

--- Puts the question that waited for this very key, on these very items.
---@param view lazycelery.Asker
---@param press lazycelery.Press
---@return boolean put
function M.resume(view, press)
  local ready = view.ready
  if not ready or ready.press.name ~= press.name then
    return false
  end
  view.ready = nil
  local same = vim.deep_equal(ready.press.ids, press.ids) and not press.bang
  if same and vim.uv.now() - ready.at < READY_MS then
    ready.put()
    return true
  end
  return false
end

return M
