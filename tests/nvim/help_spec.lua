-- :help lazycelery is whole: all that has a name, and that a user may meet, stands in it.
local actions = require("lazycelery.actions")
local command = require("lazycelery.command")
local config = require("lazycelery.config")
local expect = require("expect")
local highlight = require("lazycelery.highlight")
local keys = require("lazycelery.keys")

---@param path string
---@return string
local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local root = vim.fs.dirname(vim.fs.dirname(vim.fs.dirname(debug.getinfo(1, "S").source:sub(2))))
local help = read(root .. "/doc/lazycelery.txt")

---@param text string
---@param what string
local function in_help(text, what)
  expect.yes(help:find(text, 1, true), ("%s is not in the help: %s"):format(what, text))
end

for name in pairs(require("lazycelery")) do
  in_help(("*lazycelery.%s()*"):format(name), "a function")
end
for _, option in ipairs(config.schema) do
  in_help(("*lazycelery-option-%s*"):format(option.name), "an option")
end
for name in pairs(command.subcommands) do
  in_help(":LazyCelery " .. name, "a command")
end
for name in pairs(highlight.links) do
  in_help(name, "a highlight group")
end
local reached = {} ---@type table<string, true>
for path in vim.fs.dir(root .. "/lua/lazycelery/views") do
  local name = path:gsub("%.lua$", "")
  in_help("\n" .. name, "a view")
  in_help(("`lazycelery-%s`"):format(name), "a filetype")
  for _, key in ipairs(keys.of(require("lazycelery.views." .. name))) do
    in_help(key[1], "a key")
    in_help(("(`%s`)"):format(key[2]), "an action")
    reached[key[2]] = true
  end
  for _, row in ipairs(keys.help(require("lazycelery.views." .. name))) do
    for _, lhs in ipairs(row.keys) do
      in_help(lhs, "a key")
    end
    reached[row.action] = true
  end
end
for name in pairs(actions.list) do
  expect.yes(reached[name], "no key runs " .. name)
end

-- What is written into the sources by name.
for path in vim.fs.dir(root .. "/lua/lazycelery", { depth = 3 }) do
  if path:find("%.lua$") then
    local source = read(root .. "/lua/lazycelery/" .. path)
    for filetype in source:gmatch('filetype = "(lazycelery%-%l+)"') do
      in_help(("`%s`"):format(filetype), "a filetype")
    end
    for event in source:gmatch('"(LazyCelery%u%l+ed)"') do
      in_help(("*%s*"):format(event), "an event")
    end
    for switch in source:gmatch("\n  (%l+_enabled) =") do
      in_help("b:" .. switch, "a variable")
    end
    for tag in source:gmatch(":help (lazycelery%-[%l-]+)") do
      in_help(("*%s*"):format(tag), "a tag")
    end
  end
end
