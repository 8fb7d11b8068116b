--- Pages of one thing: their frames and their sections.
local folds = require("lazycelery.folds")
local frame = require("lazycelery.frame")
local head = require("lazycelery.head")
local views = require("lazycelery.view")

local M = {} ---@type table<string, lazycelery.Action>

---@param message string
local function say(message)
  vim.api.nvim_echo({ { message } }, false, {})
end

M.open_frame = {
  description = "open the file of the frame, or where it failed",
  run = function(view, press)
    local row, item = views.row(view)
    local found = item and item.frame or frame.origin(row and row.traceback)
    if not found then
      return say("No frame of a traceback here")
    end
    local how = { gf = "edit", gF = "edit", ["<C-w>f"] = "split", ["<C-w>F"] = "split" }
    frame.open(found, how[press.lhs] or (press.lhs and "tab") or "edit")
  end,
}

M.quickfix = {
  description = "fill the quickfix list with the frames",
  run = function(view)
    local row = views.row(view)
    frame.quickfix(row and row.traceback, head.subject(view))
  end,
}

M.outline = {
  description = "outline of the sections",
  run = function(view)
    local items = vim.tbl_map(function(section)
      return { bufnr = view.buf, lnum = section.first, text = section.title }
    end, folds.sections(view.lines or {}))
    vim.fn.setloclist(0, {}, " ", { title = head.subject(view), items = items })
    vim.cmd.lopen()
  end,
}

---@param view lazycelery.View
---@param step integer
---@param count integer
local function jump(view, step, count)
  local here, sections = vim.api.nvim_win_get_cursor(0)[1], folds.sections(view.lines or {})
  local from, to = 1, #sections
  if step < 0 then
    from, to = to, from
  end
  for i = from, to, step do
    if (sections[i].first - here) * step > 0 then
      count = count - 1
      if count <= 0 then
        vim.cmd("normal! m'")
        return vim.api.nvim_win_set_cursor(0, { sections[i].first, 0 })
      end
    end
  end
end

M.next_section = {
  description = "the next section",
  run = function(view, press)
    jump(view, 1, press.count)
  end,
}

M.previous_section = {
  description = "the previous section",
  run = function(view, press)
    jump(view, -1, press.count)
  end,
}

return M
