-- Writes the tables of doc/lazycelery.txt (keys, commands, options, highlight groups, columns) from
-- the Lua tables they describe:   nvim -l scripts/help.lua [--check]
-- With --check it changes nothing, and fails where the file is not current.
local root = vim.fs.dirname(vim.fs.dirname(vim.fs.normalize(vim.fn.fnamemodify(arg[0], ":p"))))
vim.opt.runtimepath:prepend(root)

local actions = require("lazycelery.actions")
local command = require("lazycelery.command")
local config = require("lazycelery.config")
local highlight = require("lazycelery.highlight")
local keys = require("lazycelery.keys")

local WIDTH = 78

---@param text string
---@param indent integer
---@return string[]
local function fill(text, indent)
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if line ~= "" and indent + #line + 1 + #word > WIDTH then
      lines[#lines + 1] = (" "):rep(indent) .. line
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = (" "):rep(indent) .. line
  return lines
end

--- `term` and what it means, hanging.
---@param term string
---@param meaning string
---@param column integer
---@return string[]
local function hang(term, meaning, column)
  local lines = fill(meaning, column)
  if vim.api.nvim_strwidth(term) + 2 <= column then
    lines[1] = term .. (" "):rep(column - vim.api.nvim_strwidth(term)) .. vim.trim(lines[1])
  else
    table.insert(lines, 1, term)
  end
  return lines
end

---@param text string
---@param tag string
---@return string
local function tagged(text, tag)
  return text .. (" "):rep(math.max(2, WIDTH - #text - #tag - 2)) .. "*" .. tag .. "*"
end

local blocks = {}

---@param list lazycelery.Key[]
---@return string[]
local function key_lines(list)
  local rows, by_action = {}, {}
  for _, key in ipairs(list) do
    local row = by_action[key[2]]
    if row then
      row[1] = row[1] .. " " .. key[1]
    else
      row = { key[1], key[2] }
      by_action[key[2]] = row
      rows[#rows + 1] = row
    end
  end
  local lines = {}
  for _, row in ipairs(rows) do
    local meaning = ("%s (`%s`)"):format(actions.describe(row[2]), row[2])
    vim.list_extend(lines, hang("    " .. row[1], meaning, 28))
  end
  return lines
end

--- The definitions of views that pass a test, in the order of their names.
---@param test fun(def: lazycelery.ViewDef): boolean?
---@return lazycelery.ViewDef[]
local function views(test)
  local found = {}
  for _, path in ipairs(vim.fn.globpath(root, "lua/lazycelery/views/*.lua", true, true)) do
    local def = require("lazycelery.views." .. vim.fn.fnamemodify(path, ":t:r"))
    if test(def) then
      found[#found + 1] = def
    end
  end
  return found
end

---@param test fun(def: lazycelery.ViewDef): boolean?
---@return string
local function named(test)
  return table.concat(
    vim.tbl_map(function(def)
      return def.name
    end, views(test)),
    ", "
  )
end

function blocks.keys()
  local lines = { "Everywhere: ~" }
  vim.list_extend(lines, key_lines(keys.everywhere))
  vim.list_extend(lines, { "", "In lists: ~" })
  vim.list_extend(lines, key_lines(keys.lists))
  local filtered = named(function(def)
    return def.filtered
  end)
  vim.list_extend(lines, { "", ("In lists that take a filter (%s): ~"):format(filtered) })
  vim.list_extend(lines, key_lines(keys.filtered))
  local details = named(function(def)
    return def.layout ~= "list"
  end)
  vim.list_extend(lines, { "", ("In details (%s): ~"):format(details) })
  vim.list_extend(lines, key_lines(keys.details))
  local special = views(function(def)
    return #def.keys > 0
  end)
  for _, def in ipairs(special) do
    vim.list_extend(lines, { "", "In " .. def.name .. ": ~" })
    vim.list_extend(lines, key_lines(def.keys))
  end
  return lines
end

function blocks.commands()
  local lines = {}
  for name, subcommand in vim.spairs(command.subcommands) do
    local term = ("    :LazyCelery %s %s"):format(name, subcommand.arguments or "")
    vim.list_extend(lines, hang(vim.trim(term):gsub("^", "    "), subcommand.description, 40))
  end
  return lines
end

function blocks.options()
  local lines = {}
  for _, option in ipairs(config.schema) do
    local default = option.default == nil and "none" or vim.inspect(option.default)
    lines[#lines + 1] = tagged(option.name, "lazycelery-option-" .. option.name)
    local types = table.concat(config.types_of(option), " or ")
    lines[#lines + 1] = ("    %s, default: `%s`"):format(types, default)
    vim.list_extend(lines, fill(option.description, 4))
    lines[#lines + 1] = ""
  end
  lines[#lines] = nil
  return lines
end

function blocks.columns()
  local lines = {}
  local lists = views(function(def)
    return def.columns ~= nil
  end)
  for _, def in ipairs(lists) do
    local fields = vim.tbl_map(function(column)
      return column.field
    end, def.columns or {})
    vim.list_extend(lines, hang("    " .. def.name, table.concat(fields, " "), 16))
  end
  return lines
end

function blocks.highlights()
  local lines = {}
  for group, link in vim.spairs(highlight.links) do
    lines[#lines + 1] = ("    %-24s%s"):format(group, link)
  end
  return lines
end

local path = root .. "/doc/lazycelery.txt"
local file = assert(io.open(path))
local before = file:read("*a")
file:close()

local missing = vim.tbl_keys(blocks)
-- A table reaches from its tag to the end of its section.
local after = before:gsub("(%*lazycelery%-table%-(%l+)%*\n).-(\n====)", function(tag, name, close)
  missing = vim.tbl_filter(function(other)
    return other ~= name
  end, missing)
  return tag .. table.concat(blocks[name](), "\n") .. "\n" .. close
end)
assert(#missing == 0, "doc/lazycelery.txt has no place for: " .. table.concat(missing, ", "))

if after == before then
  return
elseif arg[1] == "--check" then
  error("doc/lazycelery.txt is not current: run nvim -l scripts/help.lua", 0)
end
file = assert(io.open(path, "w"))
file:write(after)
file:close()
