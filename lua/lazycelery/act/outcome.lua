--- What came of something, as it is: in one sentence, and for many items each by itself, in a buffer.
local buffer = require("lazycelery.buffer")
local format = require("lazycelery.format")
local keys = require("lazycelery.keys")
local views = require("lazycelery.view")
local window = require("lazycelery.window")

local M = {}

--- Names that a sentence lists.
local NAMES = 3

---@param sentence string
---@param level? integer
function M.say(sentence, level)
  vim.notify(sentence, level)
end

---@param err lazycelery.Error
function M.failed(err)
  vim.notify("lazycelery: " .. err.message, vim.log.levels.ERROR)
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
    vim.notify(table.concat(texts, "\n"), vim.log.levels.WARN)
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

--- What `<CR>` opens on a line: the one of several under the cursor, else the first.
---@param uuids string[]?
---@return string?
local function aimed_at(uuids)
  local word = vim.fn.expand("<cword>") --[[@as string]]
  for _, uuid in ipairs(uuids or {}) do
    if word ~= "" and vim.startswith(uuid, word) then
      return uuid
    end
  end
  return uuids and uuids[1]
end

--- Opens a task where the view stands.
---@param view lazycelery.View
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

--- A buffer below that lists what came of each item. On a line whose item has `tasks`, uuids,
--- `<CR>` opens the one under the cursor.
---@param view lazycelery.View
---@param page lazycelery.Page
function M.list(view, page)
  local picture = page:picture()
  local function item()
    return page.items[picture.ids[vim.fn.line(".")]]
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
      keys.map(made, "n", "<CR>", "open the task", function()
        local found = item()
        local uuid = aimed_at(found and found.tasks)
        if uuid then
          open_task(view, uuid)
        end
      end)
    end,
  })
  buffer.colour(buf, namespace, picture.spans)
  local height = math.max(3, math.min(#picture.lines, math.floor(vim.o.lines / 2)))
  vim.cmd(("botright %dsplit"):format(height))
  vim.api.nvim_win_set_buf(0, buf)
  vim.wo[0][0].wrap = false
  vim.wo[0][0].winbar = ""
  vim.wo[0][0].statusline = " <CR> opens the task under the cursor   q closes"
end

return M
