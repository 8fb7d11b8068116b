--- The one table of keys: buffers are mapped from it, the help and the documentation are made of it.
local config = require("lazycelery.config")

local M = {}

--- Doors through which Neovim itself would open, and so run, what a traceback names. Its help lists
--- the last three as other names of `gf` and `<C-w>f`.
local frames = { "gf", "gF", "<C-w>f", "<C-w>F", "<C-w>gf", "<C-w>gF", "<C-w><C-f>", "]f", "[f" }

---@type lazycelery.Key[]
M.everywhere = {
  { "<CR>", "open" },
  { "<2-LeftMouse>", "open" },
  { "o", "open_split" },
  { "O", "open_tab" },
  { "K", "peek" },
  { "-", "up" },
  { "q", "back" },
  { "R", "refresh" },
  { "p", "pause" },
  { "<C-c>", "cancel" },
  { "gy", "yank_id" },
  { "g1", "workers" },
  { "g2", "tasks" },
  { "g3", "queues" },
  { "g4", "environments" },
  { "]v", "next_view" },
  { "[v", "previous_view" },
  { "gb", "environment" },
  { "ce", "events" },
  { "u", "undo" },
  { "g?", "help" },
  { "<F1>", "help" },
}

---@type lazycelery.Key[]
M.lists = {
  { "gs", "sort" },
  { "g<CR>", "load" },
}

---@type lazycelery.Key[]
M.filtered = {
  { "i", "filter" },
  { "I", "clear_filter" },
}

---@type lazycelery.Key[]
M.details = {
  { "gO", "outline" },
  { "]]", "next_section" },
  { "[[", "previous_section" },
}

--- What terminal UIs have taught fingers, with `keys = "tui"`: in lists that are for reading only.
---@type lazycelery.Key[]
M.tui = {
  { "1", "workers" },
  { "2", "tasks" },
  { "3", "queues" },
  { "4", "environments" },
  { "<Tab>", "next_view" },
  { "?", "help" },
  { "f", "filter" },
}

--- Keys of a view as they are unless a user wants others, what is its own first. In a list that can be
--- edited all others are Vim's.
---@param def lazycelery.ViewDef
---@return lazycelery.Key[]
local function usual(def)
  local all = vim.list_extend({}, def.keys)
  if def.editing then
    return all
  end
  vim.list_extend(all, def.filtered and M.filtered or {})
  vim.list_extend(all, def.layout == "list" and M.lists or M.details)
  vim.list_extend(
    all,
    vim.tbl_filter(function(key)
      return not (def.global and key[2] == "events")
    end, M.everywhere)
  )
  if config.options.keys == "tui" then
    local tui = vim.tbl_filter(function(key)
      return key[2] ~= "filter" or def.filtered == true
    end, def.layout == "list" and def.feed and M.tui or {})
    vim.list_extend(all, tui)
  end
  return all
end

--- Keys of a view in the order of the help, the user's own applied.
---@param def lazycelery.ViewDef
---@return lazycelery.Key[]
function M.of(def)
  local all, asked = usual(def), config.options.keys
  if asked == "tui" then
    return all
  end
  ---@cast asked table<string, table<string, string|false>>
  local given = vim.tbl_extend("force", asked.all or {}, asked[def.name] or {})
  local kept = vim.tbl_filter(function(key)
    return given[key[1]] == nil
  end, all)
  for lhs, action in vim.spairs(given) do
    if action then
      kept[#kept + 1] = { lhs, action }
    end
  end
  return kept
end

--- Has the view a key for an action?
---@param def lazycelery.ViewDef
---@param action string
---@return boolean
function M.offers(def, action)
  for _, key in ipairs(M.of(def)) do
    if key[2] == action then
      return true
    end
  end
  return false
end

--- Columns of a view, the user's choice applied.
---@param def lazycelery.ViewDef
---@return lazycelery.Column[]
function M.columns(def)
  local all, wanted = def.columns or {}, config.options.columns[def.name]
  if not wanted then
    return all
  end
  local chosen = {}
  for rank, field in ipairs(wanted) do
    for _, column in ipairs(all) do
      if column.field == field then
        chosen[#chosen + 1] = vim.tbl_extend("force", column, { rank = rank })
      end
    end
  end
  return #chosen > 0 and chosen or all
end

local LEAVE = "<Plug>(lazycelery-leave)"

--- Maps a key in a buffer of ours. `q` ends the recording of a macro, and then does nothing else: it
--- is an unmapped `q` then, which Neovim leaves out of what was recorded.
---@param buf integer
---@param modes string|string[]
---@param lhs string
---@param description string
---@param run fun()
function M.map(buf, modes, lhs, description, run)
  local options = {
    buffer = buf,
    nowait = true,
    silent = true,
    desc = "LazyCelery: " .. description,
  }
  if lhs ~= "q" then
    return vim.keymap.set(modes, lhs, run, options)
  end
  vim.keymap.set(modes, LEAVE, run, options)
  options.expr, options.remap = true, true
  vim.keymap.set(modes, lhs, function()
    return vim.fn.reg_recording() ~= "" and "q" or LEAVE
  end, options)
end

--- Closes every door but the safe opener's, in a buffer that holds text from a broker.
---@param buf integer
function M.close_doors(buf)
  for _, lhs in ipairs(frames) do
    M.map(buf, { "n", "x" }, lhs, "open the frame's file", function()
      require("lazycelery.actions").run("open_frame", { lhs = lhs })
    end)
  end
end

---@param buf integer
---@param def lazycelery.ViewDef
function M.set(buf, def)
  local actions = require("lazycelery.actions")
  M.close_doors(buf)
  for _, key in ipairs(M.of(def)) do
    local lhs, action = key[1], key[2]
    M.map(buf, actions.modes(action), lhs, actions.describe(action), function()
      actions.run(action, { lhs = lhs })
    end)
  end
end

--- `{ lhs…, description }` for each action of a view, in order.
---@param def lazycelery.ViewDef
---@return { keys: string[], action: string }[]
function M.help(def)
  local rows, by_action = {}, {}
  for _, key in ipairs(M.of(def)) do
    local row = by_action[key[2]]
    if not row then
      row = { keys = {}, action = key[2] }
      by_action[key[2]] = row
      rows[#rows + 1] = row
    end
    table.insert(row.keys, key[1])
  end
  if def.name == "task" then
    table.insert(rows, #def.keys + 1, { keys = vim.deepcopy(frames), action = "open_frame" })
  end
  return rows
end

return M
