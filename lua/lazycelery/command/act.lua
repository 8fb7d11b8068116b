--- Subcommands of `:LazyCelery` that change something. With `!` they do not ask.

local seen = require("lazycelery.registry").seen
local tell = require("lazycelery.tell")

---@param sentence string
---@param level? integer
local function say(sentence, level)
  tell.of(sentence, level or vim.log.levels.ERROR)
end

--- Asks for something by a command, of whoever asks where it is given.
---@param name string
---@param given lazycelery.Given
---@param ids string[] what it names
---@param act fun(asker: lazycelery.Asker, press: lazycelery.Press)
local function ask(name, given, ids, act)
  local asker = require("lazycelery.act.asker")
  local press = asker.press(name, given.bang, ids)
  asker.here(function(who)
    if not require("lazycelery.act.ask").resume(who, press) then
      act(who, press)
    end
  end)
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
      local ids = vim.split(rest, "%s+", { trimempty = true })
      if #ids > 0 and given.range then
        return say((":LazyCelery %s takes a range or ids, not both"):format(name))
      elseif #ids > 0 then
        return ask(name, given, ids, function(asker, press)
          require("lazycelery.act.tasks").by_id(name, asker, press)
        end)
      elseif not require("lazycelery.view").get() then
        return say((":LazyCelery %s takes ids, or in a view its lines"):format(name))
      end
      require("lazycelery.actions").run(name, { range = given.range, bang = given.bang })
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
  cancel = {
    description = "stop what is under way",
    run = function()
      local actions = require("lazycelery.actions")
      if require("lazycelery.view").get() then
        return actions.run("cancel")
      end
      say(require("lazycelery.act.asker").cancel(), vim.log.levels.INFO)
    end,
  },
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
      if rest ~= "on" and rest ~= "off" then
        return say((":LazyCelery events takes on or off, not %q"):format(rest))
      end
      ask("events", given, { rest }, function(asker, press)
        require("lazycelery.act.events").turn(asker, press, rest == "on")
      end)
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
      if rest ~= "" and given.range then
        return say(":LazyCelery purge takes a range or a queue, not both")
      elseif rest ~= "" then
        return ask("purge", given, { rest }, function(asker, press)
          require("lazycelery.act.queues").purge(asker, press, { rest })
        end)
      elseif not require("lazycelery.view").get() then
        return say(":LazyCelery purge takes a queue, or in a view its lines")
      end
      require("lazycelery.actions").run("purge", { range = given.range, bang = given.bang })
    end,
    complete = function()
      return seen("queue", "name")
    end,
  },
  undo = {
    description = "undo the last purge, deletion or move",
    run = function(_, _, given)
      ask("undo", given, {}, require("lazycelery.act.undo").undo)
    end,
  },
  export = {
    description = "all tasks that match, to a file; `:LazyCelery!` overwrites it",
    arguments = "<file>",
    run = function(rest, _, given)
      local path = rest ~= "" and rest or nil
      require("lazycelery.act.asker").here(function(asker, view)
        local export = require("lazycelery.act.export")
        if view then
          return export.view(view, path, given.bang)
        end
        export.export(asker, {}, path, given.bang)
      end)
    end,
    complete = function(rest)
      return vim.fn.getcompletion(rest, "file")
    end,
  },
  send = {
    description = "a new task, written in a buffer, or with its arguments after it",
    arguments = "<task> [json]",
    run = function(rest, mods, given)
      require("lazycelery.act.asker").here(function(asker)
        require("lazycelery.act.resend").send(asker, rest, { mods = mods, bang = given.bang })
      end)
    end,
    complete = function(rest)
      if rest:find("%s") then
        return {}
      end
      local environment = require("lazycelery.act.asker").environment()
      return environment and require("lazycelery.act.resend.names").known(environment) or {}
    end,
  },
}
