--- Every option: its default, its type, what it does. The help is made from this table.
local M = {}

---@class lazycelery.Option
---@field name string
---@field default any
---@field type string|string[] as vim.validate takes it
---@field description string

---@type lazycelery.Option[]
M.schema = {
  {
    name = "cmd",
    default = { "lazycelery" },
    type = "table",
    description = 'The server, as a list of arguments: `{ "ssh", "box", "lazycelery" }` works. '
      .. "`vim.g.lazycelery_cmd` is used where this is not set.",
  },
  {
    name = "environment",
    default = nil,
    type = "string",
    description = "The environment that `:LazyCelery` opens; without it the server's default.",
  },
  {
    name = "environments",
    default = {},
    type = "table",
    description = "Clusters beside those of the server's own configuration, by name, with the keys "
      .. 'of its file: `{ staging = { broker_url = "redis://staging" } }`. '
      .. "Programs that print a URL can stand only in the file.",
  },
  {
    name = "interval",
    default = 0.1,
    type = "number",
    description = "Seconds between two updates of a view.",
  },
  {
    name = "rows",
    default = 5000,
    type = "number",
    description = "How many rows a list grows to, at most 5000. It loads 500 at a time.",
  },
  {
    name = "path_map",
    default = {},
    type = "table",
    description = "Where the files of a traceback are here: "
      .. '`{ ["/srv/app"] = "~/src/app" }`. The longest prefix wins.',
  },
  {
    name = "keys",
    default = {},
    type = { "table", "string" },
    description = 'Keys of a view to remove, or to add for an action; or `"tui"`: in lists `1` to '
      .. "`4`, `<Tab>`, `?` and `f` as well, for whoever comes from terminal UIs. "
      .. '`{ tasks = { gs = false, ["<leader>s"] = "sort" } }`. `all` stands for every view.',
  },
  {
    name = "columns",
    default = {},
    type = "table",
    description = "Columns of a view, in order, by their names: "
      .. '`{ tasks = { "state", "name", "result" } }`. The first is the last to give way.',
  },
  {
    name = "ascii",
    default = false,
    type = "boolean",
    description = "Letters in place of glyphs.",
  },
  {
    name = "calm",
    default = false,
    type = "boolean",
    description = "No cell changes without a key, for slow lines and screen readers: "
      .. "`R` refreshes, ages do not tick, numbers stand for sparklines.",
  },
  {
    name = "winbar",
    default = true,
    type = "boolean",
    description = "The column header in the window's winbar; without it nothing is set there.",
  },
  {
    name = "statusline",
    default = true,
    type = "boolean",
    description = "Our statusline in windows of ours. "
      .. '`require("lazycelery").statusline()` gives its text to other plugins.',
  },
  {
    name = "listed",
    default = true,
    type = "boolean",
    description = "Lists and details are listed buffers (`:ls`, `:bnext`).",
  },
}

M.options = vim.empty_dict() --[[@as lazycelery.Options]]

---@param option lazycelery.Option
---@return string[]
function M.types_of(option)
  local types = option.type
  return type(types) == "table" and types or {
    types --[[@as string]],
  }
end

--- Defaults, and over them what the user gave. A wrong option is an error that names it.
---@param given? table
function M.set(given)
  local options, known = {}, {}
  for _, option in ipairs(M.schema) do
    known[option.name] = option
    options[option.name] = vim.deepcopy(option.default)
  end
  if vim.g.lazycelery_cmd ~= nil then
    options.cmd = vim.g.lazycelery_cmd
  end
  for name, value in pairs(given or {}) do
    local option = known[name]
    if not option then
      local names = vim.tbl_keys(known)
      table.sort(names)
      error(("lazycelery: no option %q; there are: %s"):format(name, table.concat(names, ", ")), 0)
    end
    local types = M.types_of(option)
    if not vim.list_contains(types, type(value)) then
      local wanted = table.concat(types, " or a ")
      error(("lazycelery: option %q takes a %s, not a %s"):format(name, wanted, type(value)), 0)
    elseif name == "keys" and type(value) == "string" and value ~= "tui" then
      error(('lazycelery: option "keys" takes a table or "tui", not %q'):format(value), 0)
    elseif (name == "keys" or name == "columns") and type(value) == "table" then
      local mistake = require("lazycelery.config.views").mistake(name, value)
      if mistake then
        error(("lazycelery: option %q: %s"):format(name, mistake), 0)
      end
    end
    options[name] = value
  end
  M.options = options --[[@as lazycelery.Options]]
end

M.set()

return M
