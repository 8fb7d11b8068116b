--- Subcommands of `:LazyCelery` that change something. With `!` they do not ask.

--- The view that a command is given in.
---@return lazycelery.View?
local function current()
  local view = require("lazycelery.view").get()
  if not view then
    vim.notify("lazycelery: not in a view; :LazyCelery opens one", vim.log.levels.WARN)
  end
  return view
end

local seen = require("lazycelery.registry").seen

--- The environment that a command is about: that of the view it is given in, if it is of one.
---@return string?
local function here()
  local view = require("lazycelery.view").get()
  local edit = require("lazycelery.act.resend.edit").get(vim.api.nvim_get_current_buf())
  return edit and edit.id.environment or view and require("lazycelery.view").environment(view)
end

--- An action on tasks: those of the lines, or those whose ids are given.
---@param name "retry"|"revoke"|"terminate"
---@param description string
---@return lazycelery.Subcommand
local function on_tasks(name, description)
  return {
    description = description,
    arguments = "[uuid…]",
    rows = true,
    run = function(rest, _, given)
      local actions = require("lazycelery.actions")
      local view = current()
      if not view then
        return
      elseif rest == "" then
        return actions.run(name, given)
      elseif given.range then
        return vim.notify(
          ("lazycelery: :LazyCelery %s takes a range or ids, not both"):format(name),
          vim.log.levels.ERROR
        )
      end
      local press = actions.press(name, view, given)
      press.ids = vim.split(rest, "%s+", { trimempty = true })
      if not require("lazycelery.act.ask").resume(view, press) then
        require("lazycelery.act.tasks").by_id(name, view, press)
      end
    end,
    complete = function()
      return seen("task", "uuid")
    end,
  }
end

---@type table<string, lazycelery.Subcommand>
return {
  retry = on_tasks("retry", "send tasks again: those of the range, or by their ids"),
  revoke = on_tasks("revoke", "tell workers not to run tasks"),
  terminate = on_tasks("terminate", "end tasks while they run"),
  outcome = {
    description = "what came of each, when something was last done to many",
    run = function()
      require("lazycelery.act.outcome").open()
    end,
  },
  events = {
    description = "task events on or off, after asking (`:LazyCelery!`: without)",
    arguments = "on|off",
    run = function(rest, _, given)
      local view = current()
      if not view then
        return
      elseif rest ~= "on" and rest ~= "off" then
        return vim.notify(
          ("lazycelery: :LazyCelery events takes on or off, not %q"):format(rest),
          vim.log.levels.ERROR
        )
      end
      local press = require("lazycelery.actions").press("events", view, { bang = given.bang })
      press.ids = { rest }
      if not require("lazycelery.act.ask").resume(view, press) then
        require("lazycelery.act.events").turn(view, press, rest == "on")
      end
    end,
    complete = function()
      return { "on", "off" }
    end,
  },
  purge = {
    description = "remove all that waits in a queue, after asking; or in those of a range",
    arguments = "<queue>",
    rows = true,
    run = function(rest, _, given)
      local view = current()
      if not view then
        return
      elseif given.range or rest == "" then
        return require("lazycelery.actions").run(
          "purge",
          { range = given.range, bang = given.bang }
        )
      end
      local press = require("lazycelery.actions").press("purge", view, { bang = given.bang })
      press.ids = { rest }
      if not require("lazycelery.act.ask").resume(view, press) then
        require("lazycelery.act.queues").purge(view, press, { rest })
      end
    end,
    complete = function()
      return seen("queue", "name")
    end,
  },
  undo = {
    description = "undo the last purge, deletion or move",
    run = function(_, _, given)
      require("lazycelery.actions").run("undo", { bang = given.bang })
    end,
  },
  export = {
    description = "all tasks that match, to a file; `:LazyCelery!` overwrites it",
    arguments = "<file>",
    run = function(rest, _, given)
      local view = current()
      if view then
        require("lazycelery.act.export").export(view, rest ~= "" and rest or nil, given.bang)
      end
    end,
    complete = function(rest)
      return vim.fn.getcompletion(rest, "file")
    end,
  },
  send = {
    description = "a new task, written in a buffer, or with its arguments after it",
    arguments = "<task> [json]",
    run = function(rest, mods, given)
      require("lazycelery.environment").resolve(here(), function(environment)
        require("lazycelery.act.resend").send(environment, rest, { mods = mods, bang = given.bang })
      end)
    end,
    complete = function(rest)
      if rest:find("%s") then
        return {}
      end
      local environment = here() or require("lazycelery.environment").names()[1]
      return environment and require("lazycelery.act.resend.names").known(environment) or {}
    end,
  },
}
