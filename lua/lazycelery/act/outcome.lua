--- What came of something, as it is: in one sentence, and for many items each by itself, in a buffer.
local asker = require("lazycelery.act.asker")
local buffer = require("lazycelery.buffer")
local format = require("lazycelery.format")
local keys = require("lazycelery.keys")
local tell = require("lazycelery.tell")
local text = require("lazycelery.text")
local views = require("lazycelery.view")
local window = require("lazycelery.window")

local M = {}

---@class lazycelery.Refused
---@field uuid string
---@field kind string
---@field reason string

---@class lazycelery.Warning
---@field uuid? string where it is about one of several
---@field kind string
---@field text string

--- Names that a sentence lists.
local NAMES = 3

---@param sentence string
---@param level? integer
function M.say(sentence, level)
  tell.say(text.clean(sentence), level)
end

---@param err lazycelery.Error
function M.failed(err)
  tell.of(text.clean(err.message), vim.log.levels.ERROR)
end

--- What should be known of what was done: some warnings, and how many others.
---@param warnings { uuid?: string, text: string }[]?
function M.warn(warnings)
  local texts = {}
  for i, warning in ipairs(warnings or {}) do
    if i > NAMES then
      texts[i] = ("and %s"):format(format.plural(#warnings - NAMES, "other warning"))
      break
    end
    texts[i] = (warning.uuid and warning.uuid .. ": " or "") .. warning.text
  end
  if #texts > 0 then
    tell.say(table.concat(texts, "\n"), vim.log.levels.WARN)
  end
end

--- Some names, and how many others.
---@param names string[]
---@return string
function M.names(names)
  local shown = vim.list_slice(names, 1, NAMES)
  if #names > NAMES then
    shown[#shown + 1] = format.plural(#names - NAMES, "other")
  end
  if #shown == 1 then
    return shown[1]
  end
  return table.concat(shown, ", ", 1, #shown - 1) .. " and " .. shown[#shown]
end

--- Which workers did what they were told: `3 of 4 workers; celery@gpu-1 did not answer`.
---@param result { replies: table<string, table>, missing: string[]?, unnamed: integer? }
---@return string
---@return boolean all
function M.workers(result)
  local done, refused = 0, {}
  for hostname, reply in vim.spairs(result.replies or {}) do
    if reply.error then
      table.insert(refused, ("%s: %s"):format(hostname, tostring(reply.error)))
    else
      done = done + 1
    end
  end
  local missing, unnamed = result.missing or {}, result.unnamed or 0
  local all = done + #refused + #missing + unnamed
  local parts = { format.plural(all, "worker") }
  if done < all then
    parts[1] = ("%d of %s"):format(done, parts[1])
  end
  if #refused > 0 then
    table.insert(parts, "refused by " .. table.concat(refused, ", "))
  end
  if #missing > 0 then
    table.insert(parts, M.names(missing) .. " did not answer")
  end
  if unnamed > 0 then
    table.insert(parts, format.plural(unnamed, "other") .. " listened, and did not answer")
  end
  return table.concat(parts, "; "), done == all and all > 0
end

local namespace = vim.api.nvim_create_namespace("lazycelery.outcome")

--- Characters of an id that stand for it.
local SHORT = 8

--- What `<CR>` opens on a line: the one of several under the cursor, else the first.
---@param uuids string[]?
---@return string?
local function aimed_at(uuids)
  local line, column = vim.api.nvim_get_current_line(), vim.fn.col(".")
  for _, uuid in ipairs(uuids or {}) do
    local first, last = line:find(uuid:sub(1, SHORT), 1, true)
    if first and last and column >= first and column <= last then
      return uuid
    end
  end
  return uuids and uuids[1]
end

--- Opens a task where the view stands.
---@param view lazycelery.Asker
---@param uuid string
local function open_task(view, uuid)
  local win = window.in_sight(view.buf)[1]
  if win then
    vim.api.nvim_set_current_win(win)
  else
    vim.cmd.wincmd("p")
  end
  views.open({ environment = view.id.environment, view = "task", key = uuid })
end

--- Lines that say of one task why it was left alone.
local REASONS = 5000

--- What was left alone, and why; and how many a job did not come to that was stopped, or broke off.
---@param page lazycelery.Page
---@param number integer all that were not done
---@param refused lazycelery.Refused[]
---@param names table<string, string>
function M.left_alone(page, number, refused, names)
  for i, one in ipairs(refused) do
    if i > REASONS then
      local others = ("%s left alone"):format(format.plural(#refused - REASONS, "other"))
      page:head({ { "– ", "LazyCeleryWarn" }, { others, "LazyCeleryDim" } })
      break
    end
    page:head({
      { "– ", "LazyCeleryWarn" },
      { one.uuid:sub(1, SHORT), "LazyCeleryKey" },
      { "  " .. (names[one.uuid] or ""), "LazyCeleryName" },
      { "  left alone: " .. one.reason, "LazyCeleryWarn" },
    }, { tasks = { one.uuid } })
  end
  if number > #refused then
    local others = format.plural(number - #refused, "other") .. " not reached, and left alone"
    page:head({ { "– ", "LazyCeleryWarn" }, { others, "LazyCeleryDim" } })
  end
end

--- What can be done next with what was left alone.
---@class lazycelery.Next
---@field key string
---@field words string what it does, for the line below the list
---@field run fun(press: lazycelery.Press)

local last ---@type { view: lazycelery.Asker, page: lazycelery.Page, further: lazycelery.Next? }?

---@param view lazycelery.Asker
---@param page lazycelery.Page
---@param further lazycelery.Next?
---@return integer buf
---@return integer lines
local function buffer_of(view, page, further)
  local picture = page:picture()
  local function open_aimed_at()
    local item = page.items[picture.ids[vim.fn.line(".")]]
    local uuid = aimed_at(item and item.tasks)
    if uuid then
      open_task(view, uuid)
    end
  end
  local buf = buffer.scratch({
    listed = false,
    filetype = "lazycelery-outcome",
    lines = picture.lines,
    bufhidden = "wipe",
    keys = function(made)
      keys.close_doors(made)
      vim.b[made].lazycelery_view = view.buf
      keys.map(made, "n", "q", "close", function()
        pcall(vim.api.nvim_win_close, 0, true)
      end)
      keys.map(made, "n", "<CR>", "open the task", open_aimed_at)
      keys.map(made, "n", "<2-LeftMouse>", "open the task", open_aimed_at)
      if further then
        keys.map(made, "n", further.key, further.words, function()
          local press = asker.press("outcome", false, {})
          press.lhs = further.key
          further.run(press)
        end)
      end
    end,
  })
  buffer.colour(buf, namespace, picture.spans)
  return buf, #picture.lines
end

local shown ---@type integer? the window

---@param view lazycelery.Asker
---@param page lazycelery.Page
---@param enter boolean
---@param further lazycelery.Next?
local function show(view, page, enter, further)
  local buf, lines = buffer_of(view, page, further)
  if shown and vim.api.nvim_win_is_valid(shown) then
    pcall(vim.api.nvim_win_close, shown, true)
  end
  local most = math.floor(vim.o.lines / 3)
  local height = math.max(2, math.min(lines, most))
  shown = vim.api.nvim_open_win(buf, enter, { split = "below", win = -1, height = height })
  local options = vim.wo[shown][0]
  options.wrap, options.linebreak, options.breakindent = true, true, true
  options.breakindentopt = "shift:2"
  options.winbar = ""
  options.winfixheight = true
  local tall = height < most and vim.api.nvim_win_text_height(shown, {}).all or most
  vim.api.nvim_win_set_height(shown, math.min(most, math.max(height, tall)))
  local words = further and further.words:gsub("%%", "%%%%") .. "   " or ""
  options.statusline = " <CR> opens the task under the cursor   " .. words .. "q closes"
end

--- What came of each item, in a buffer below the view; where a person is elsewhere by now, in none,
--- until it is asked for. On a line whose item has `tasks`, uuids, `<CR>` opens the one under the
--- cursor.
---@param view lazycelery.Asker
---@param page lazycelery.Page
---@param further? lazycelery.Next
function M.list(view, page, further)
  last = { view = view, page = page, further = further }
  local within = vim.api.nvim_get_current_win() == shown
  if within or vim.api.nvim_get_current_buf() == view.buf then
    show(view, page, within, further)
  end
end

--- The list of the last outcome, once more.
function M.open()
  if not last then
    return tell.of("nothing was done to many at once yet")
  end
  show(last.view, last.page, true, last.further)
end

return M
