-- Options: defaults, and mistakes that name themselves.
local config = require("lazycelery.config")
local expect = require("expect")

expect.equal(config.options.rows, 5000)
config.set({ rows = 100 })
expect.equal(config.options.rows, 100)
config.set()
expect.equal(config.options.rows, 5000, "a second setup starts from the defaults (N54)")
local ok, err = pcall(config.set, { row = 1 })
expect.yes(not ok and err:find('no option "row"', 1, true))
ok, err = pcall(config.set, { rows = "many" })
expect.yes(not ok and err:find("takes a number, not a string", 1, true))

---@param given table
---@param expected string
local function refused(given, expected)
  local accepted, why = pcall(config.set, given)
  expect.yes(not accepted and why:find(expected, 1, true), why)
end

refused(
  { columns = { tasks = { "stat" } } },
  '"columns": tasks has no column "stat"; there are: state,'
)
refused({ columns = { task = { "state" } } }, 'no view "task" has columns; there are: workers,')
refused({ columns = { tasks = "state" } }, "tasks takes a list of columns, not a string")
refused({ keys = { tasks = { gs = "srt" } } }, '"keys": tasks: no action "srt" for gs')
refused({ keys = { tsks = {} } }, 'no view "tsks"; there are: workers,')
refused({ keys = { all = "sort" } }, "all takes a table of keys, not a string")

vim.g.lazycelery_cmd = { "from-g" }
config.set()
expect.equal(config.options.cmd, { "from-g" })
config.set({ cmd = { "given" } })
expect.equal(config.options.cmd, { "given" })

-- Views are data: every key has an action, every column a rank and a width.
local actions = require("lazycelery.actions")
local keys = require("lazycelery.keys")
local views = vim.api.nvim_get_runtime_file("lua/lazycelery/views/*.lua", true)
expect.yes(#views > 6)
for _, path in ipairs(views) do
  local name = vim.fn.fnamemodify(path, ":t:r")
  local def = require("lazycelery.views." .. name)
  local seen, ranks = {}, {}
  for _, key in ipairs(keys.of(def)) do
    expect.yes(actions.list[key[2]], name .. ": no action " .. key[2])
    expect.yes(not seen[key[1]], name .. ": two actions on " .. key[1])
    seen[key[1]] = true
  end
  for _, column in ipairs(def.columns or {}) do
    expect.yes(not ranks[column.rank], name .. ": two columns of rank " .. column.rank)
    ranks[column.rank] = true
  end
end

config.set({
  keys = { tasks = { gs = false, ["<leader>s"] = "sort" } },
  columns = { tasks = { "result", "id" } },
})
local tasks = require("lazycelery.views.tasks")
local mapped = {}
for _, key in ipairs(keys.of(tasks)) do
  mapped[key[1]] = key[2]
end
expect.equal({ mapped.gs, mapped["<leader>s"] }, { nil, "sort" })
expect.equal(keys.columns(tasks)[1].field, "result")
expect.equal(#keys.columns(tasks), 2)
config.set()
