--- `:LazyCelery`: what its words mean, and what they complete to. Those that change something are in
--- `command/act.lua`.
local seen = require("lazycelery.registry").seen
local tell = require("lazycelery.tell")

local M = {}

---@class lazycelery.Subcommand
---@field description string
---@field arguments? string
---@field run fun(rest: string, mods: table, given: lazycelery.Given)
---@field rows? boolean it is about rows, too: it takes a range
---@field complete? fun(rest: string): string[]

---@class lazycelery.Given
---@field bang boolean
---@field range? { [1]: integer, [2]: integer }

---@param view string
---@param rest string
---@param mods table
local function list(view, rest, mods)
  require("lazycelery").open(view, { filter = rest ~= "" and rest or nil, mods = mods })
end

---@param view string
---@param what string
---@param key string
---@param mods table
local function detail(view, what, key, mods)
  if key == "" then
    return tell.of((":LazyCelery %s takes %s"):format(view, what), vim.log.levels.ERROR)
  end
  require("lazycelery").open(view, { key = key, mods = mods })
end

--- Characters of an id that stand for it in lists.
local SHORT = 8

--- A task by its id, or by the beginning of it that lists show. Where several begin so, all of them.
---@param id string
---@param mods table
local function task(id, mods)
  if #id ~= SHORT or id:find("[^%x]") then
    return detail("task", "a uuid", id, mods)
  end
  local params = { filter = "id:" .. id, limit = 2 }
  require("lazycelery.environment").resolve(nil, function(name)
    params.environment = name
    require("lazycelery.client").request("task/list", params, function(err, found)
      local rows = not err and found.rows or {}
      if #rows > 1 then
        return list("tasks", params.filter, mods)
      end
      detail("task", "a uuid", rows[1] and rows[1].uuid or id, mods)
    end)
  end)
end

---@type table<string, lazycelery.Subcommand>
M.subcommands = {
  workers = {
    description = "the workers",
    arguments = "[filter]",
    run = function(rest, mods)
      list("workers", rest, mods)
    end,
    complete = function(rest)
      return require("lazycelery.filter.complete").words("worker", rest)
    end,
  },
  tasks = {
    description = "the tasks",
    arguments = "[filter]",
    run = function(rest, mods)
      list("tasks", rest, mods)
    end,
    complete = function(rest)
      return require("lazycelery.filter.complete").words("task", rest)
    end,
  },
  queues = {
    description = "the queues",
    arguments = "[filter]",
    run = function(rest, mods)
      list("queues", rest, mods)
    end,
    complete = function(rest)
      return require("lazycelery.filter.complete").words("queue", rest)
    end,
  },
  task = {
    description = "one task, by its id or the beginning that lists show",
    arguments = "<uuid>",
    run = task,
    complete = function()
      return seen("task", "uuid")
    end,
  },
  worker = {
    description = "one worker",
    arguments = "<hostname>",
    run = function(rest, mods)
      detail("worker", "a hostname", rest, mods)
    end,
    complete = function()
      return seen("worker", "hostname")
    end,
  },
  messages = {
    description = "the messages of a queue, the next to run first",
    arguments = "<queue>",
    run = function(rest, mods)
      detail("messages", "a queue", rest, mods)
    end,
    complete = function()
      return seen("queue", "name")
    end,
  },
  environments = {
    description = "the environments",
    arguments = "[filter]",
    run = function(rest, mods)
      list("environments", rest, mods)
    end,
    complete = function(rest)
      return require("lazycelery.filter.complete").words("environment", rest)
    end,
  },
  env = {
    description = "the workers of another environment",
    arguments = "<name>",
    run = function(rest, mods)
      require("lazycelery").open(
        "workers",
        { environment = rest ~= "" and rest or nil, mods = mods }
      )
    end,
    complete = function()
      return require("lazycelery.environment").names()
    end,
  },
  log = {
    description = "the log of the server",
    run = function(_, mods)
      local path = require("lazycelery.client.program").log_file()
      if not vim.uv.fs_stat(path) then
        return tell.of("there is no log at " .. path, vim.log.levels.WARN)
      end
      vim.cmd({ cmd = "sview", args = { path }, magic = { file = false }, mods = mods })
      vim.cmd("normal! G")
    end,
  },
  restart = {
    description = "start the server anew, with the settings of now",
    run = function()
      require("lazycelery.client").restart()
    end,
  },
}

M.subcommands = vim.tbl_extend("error", M.subcommands, require("lazycelery.command.act"))

--- Runs `:LazyCelery …`. What is no subcommand is an action, else a filter on the tasks.
---@param command vim.api.keyset.create_user_command.command_args
function M.run(command)
  local word, rest = command.args:match("^%s*(%S+)%s*(.-)%s*$")
  word = word or "workers"
  local actions = require("lazycelery.actions")
  local subcommand = M.subcommands[word]
  local range = command.range > 0 and { command.line1, command.line2 } or nil
  local about_rows = subcommand or actions.list[word]
  if range and not (about_rows and about_rows.rows) then
    return tell.of((":LazyCelery %s takes no range"):format(word), vim.log.levels.ERROR)
  elseif subcommand then
    return subcommand.run(rest or "", command.smods, { bang = command.bang, range = range })
  elseif actions.list[word] then
    return actions.run(word, { range = range, bang = command.bang })
  elseif word:find(":") then
    return list("tasks", vim.trim(command.args), command.smods)
  end
  tell.of(("no view or command %q; <Tab> completes them"):format(word), vim.log.levels.ERROR)
end

---@param names string[]
---@param lead string
---@return string[]
local function beginning(names, lead)
  return vim.tbl_filter(function(name)
    return vim.startswith(name, lead)
  end, names)
end

---@param lead string
---@param line string
---@param position integer
---@return string[]
function M.complete(lead, line, position)
  local typed = line:sub(1, position):gsub("^.-LazyCelery!?%s+", "")
  local word, rest = typed:match("^(%S+)%s+(.*)$")
  if not word or not rest then
    local names = vim.tbl_keys(M.subcommands)
    if require("lazycelery.view").get() then
      vim.list_extend(names, vim.tbl_keys(require("lazycelery.actions").list))
    end
    table.sort(names)
    return beginning(vim.fn.uniq(names) --[[@as string[] ]], lead)
  end
  local subcommand = M.subcommands[word]
  if subcommand and subcommand.complete then
    return beginning(subcommand.complete(rest), lead)
  end
  return {}
end

return M
