--- Emptying whole queues: purged, or moved to another. What is removed can be taken back (`undo`).
local ask = require("lazycelery.act.ask")
local detail = require("lazycelery.detail")
local format = require("lazycelery.format")
local guard = require("lazycelery.act.guard")
local job = require("lazycelery.act.job")
local outcome = require("lazycelery.act.outcome")
local undo = require("lazycelery.act.undo")
local views = require("lazycelery.view")

local M = {}

--- Rows of a list that one call answers at most.
local MOST = 5000

--- What one of two things is done to a queue is called, and asks for.
---@class lazycelery.Emptying
---@field method string
---@field doing string `Purging`
---@field done string `Purged`
---@field count string member of the answer
---@field params table beside the queue

---@class lazycelery.Emptied
---@field queue string
---@field count integer
---@field result? table

--- Messages of all of them.
---@param all lazycelery.Emptied[]
---@return integer
local function total(all)
  local sum = 0
  for _, one in ipairs(all) do
    sum = sum + one.count
  end
  return sum
end

---@param all lazycelery.Emptied[]
---@return string
local function named(all)
  return #all == 1 and all[1].queue or format.plural(#all, "queue")
end

--- Each queue and its messages, where one line does not name them all.
---@param all lazycelery.Emptied[]
---@return lazycelery.Sheet?
local function sheet(all)
  if #all < 2 then
    return nil
  end
  local page = detail.page(vim.o.columns)
  for _, one in ipairs(all) do
    page:field(one.queue, format.plural(one.count, "message"), nil, nil, 24)
  end
  local picture = page:picture()
  return { lines = picture.lines, spans = picture.spans }
end

--- What came of it, in one sentence.
---@param how lazycelery.Emptying
---@param all lazycelery.Emptied[]
---@return string
local function sentence(how, all)
  local done, arrived, taken, stopped = 0, 0, 0, false
  for _, one in ipairs(all) do
    local result = one.result or {}
    done = done + (result[how.count] or 0)
    arrived, taken = arrived + (result.arrived or 0), taken + (result.taken or 0)
    stopped = stopped or result.cancelled or false
  end
  local remarks = {}
  if not stopped and done > total(all) then
    table.insert(remarks, format.count(done - total(all)) .. " came after it was asked")
  end
  if arrived > 0 then
    table.insert(remarks, format.count(arrived) .. " arrived meanwhile")
  end
  if taken > 0 then
    table.insert(remarks, format.count(taken) .. " taken by workers")
  end
  local said = how.done .. " " .. format.count(done)
  if done == 0 and not stopped then
    said = ("Nothing was %s: %s empty by then"):format(
      how.done:lower(),
      #all == 1 and all[1].queue .. " was" or "they were all"
    )
  elseif stopped then
    said = ("Stopped: %s %s of %s"):format(
      how.done:lower(),
      format.count(done),
      format.count(total(all))
    )
  end
  if done > 0 and how.params.to then
    said = said .. " to " .. how.params.to
  end
  if #remarks > 0 then
    said = ("%s (%s)"):format(said, table.concat(remarks, ", "))
  end
  return done > 0 and said .. (done == 1 and "; u takes it back" or "; u takes them back") or said
end

--- Empties one queue after the other. What fails, or is stopped, ends it.
---@param view lazycelery.Asker
---@param environment string
---@param how lazycelery.Emptying
---@param all lazycelery.Emptied[]
local function empty(view, environment, how, all)
  local removals = {} ---@type lazycelery.Removal[]
  local function through()
    if not all[1].result then
      return
    end
    undo.push(environment, removals)
    outcome.say(sentence(how, all))
    for _, one in ipairs(all) do
      outcome.warn(vim.tbl_filter(function(warning)
        -- That stood in the question.
        return warning.kind ~= "no_consumer"
      end, one.result and one.result.warnings or {}))
    end
  end
  local go ---@type fun(i: integer, more?: table)
  function go(i, more)
    local one = all[i]
    if not one then
      return through()
    end
    local params = vim.tbl_extend("force", { queue = one.queue }, how.params, more or {})
    local options = { title = how.doing .. " " .. one.queue, view = view }
    job.run(environment, how.method, params, options, function(err, result)
      if err and err.data and err.data.kind == "blocking" then
        local yes = "Yes, go on, though others wait for the broker"
        return ask.choose(view, err.message:gsub(":.*", ""), {
          {
            yes,
            function()
              go(i, { accept_blocking = true })
            end,
          },
        }, through)
      elseif err then
        outcome.failed(err)
        return through()
      end
      one.result = result
      if result.saved_as then
        local removal = { saved_as = result.saved_as, queue = one.queue, to = how.params.to }
        table.insert(removals, removal)
      end
      if result.cancelled then
        return through()
      end
      go(i + 1)
    end)
  end
  go(1)
end

--- What waits in these queues now, exactly. Of those where nothing does, none is left.
---@param view lazycelery.Asker
---@param environment string
---@param names string[]
---@param done fun(all: lazycelery.Emptied[])
local function look(view, environment, names, done)
  local all = {} ---@type lazycelery.Emptied[]
  local options = { title = "Looking at the queues", view = view }
  local function go(i)
    local name = names[i]
    if name then
      return job.preview(environment, "queue/purge", { queue = name }, options, function(result)
        if result.purged > 0 then
          table.insert(all, { queue = name, count = result.purged })
        end
        go(i + 1)
      end)
    elseif #all == 0 then
      local what = #names == 1 and names[1] .. " is" or "they are all"
      return outcome.say(("lazycelery: %s empty on %s"):format(what, environment))
    end
    done(all)
  end
  go(1)
end

--- Queues that messages can be moved to.
---@param view lazycelery.Asker
---@param environment string
---@param names string[] where they come from
---@param done fun(others: table[])
local function targets(view, environment, names, done)
  local options = { title = "Looking at the queues", view = view }
  job.look(environment, "queue/list", { limit = MOST }, options, function(result)
    local others = vim.tbl_filter(function(row)
      return not row.fanout and not vim.list_contains(names, row.name)
    end, result.rows)
    if #others == 0 then
      return outcome.say("lazycelery: there is no other queue on " .. environment)
    end
    done(others)
  end)
end

--- Removes all that waits in some queues, after asking.
---@param view lazycelery.Asker
---@param press lazycelery.Press
---@param names string[]
function M.purge(view, press, names)
  local environment = view.id.environment
  if guard.refused(environment) then
    return
  end
  look(view, environment, names, function(all)
    local how =
      { method = "queue/purge", doing = "Purging", done = "Purged", count = "purged", params = {} }
    ask.question(view, {
      press = press,
      prompt = ("Purge %s?"):format(named(all)),
      yes = ("Yes, purge %s on %s: %s"):format(
        named(all),
        environment,
        format.plural(total(all), "message")
      ),
      preview = sheet(all),
      typed = #all == 1 and all[1].queue or environment,
    }, function()
      empty(view, environment, how, all)
    end)
  end)
end

--- Where messages are moved to, as answers.
---@param view lazycelery.Asker
---@param environment string
---@param all lazycelery.Emptied[]
---@param others table[] rows of queues
---@return { [1]: string, [2]: fun() }[]
local function ways(view, environment, all, others)
  return vim.tbl_map(function(row)
    local yes = ("Yes, move %s to %s"):format(format.plural(total(all), "message"), row.name)
    if (row.messages or 0) > 0 then
      yes = ("%s, behind %s"):format(yes, format.count(row.messages))
    end
    if (row.consumers or 0) == 0 then
      yes = yes .. "; no worker tells that it reads it"
    end
    local how = {
      method = "queue/move",
      doing = "Moving",
      done = "Moved",
      count = "moved",
      params = { to = row.name },
    }
    return {
      yes,
      function()
        empty(view, environment, how, all)
      end,
    }
  end, others)
end

--- Puts all that waits in some queues into another one, which is chosen.
---@param view lazycelery.Asker
---@param press lazycelery.Press
---@param names string[]
function M.move(view, press, names)
  local environment = view.id.environment
  if guard.refused(environment) then
    return
  end
  look(view, environment, names, function(all)
    targets(view, environment, names, function(others)
      local answers = ways(view, environment, all, others)
      local first = table.remove(answers, 1) ---@type { [1]: string, [2]: fun() }
      -- `!` cannot tell which queue.
      local asked = vim.deepcopy(press)
      asked.bang = false
      ask.question(view, {
        press = asked,
        prompt = ("Move all of %s on %s?"):format(named(all), environment),
        yes = first[1],
        more = answers,
        preview = sheet(all),
      }, first[2])
    end)
  end)
end

--- The queues on the lines that a key is meant for.
---@param view lazycelery.View
---@param press lazycelery.Press
---@return string[]
local function chosen(view, press)
  local names = {}
  for line = press.first, press.last do
    local row = views.row(view, line)
    if row and not view.gone[row.key] then
      table.insert(names, row.name)
    end
  end
  return names
end

--- Why none is meant.
---@param view lazycelery.View
---@param press lazycelery.Press
---@return string
local function none(view, press)
  local row = view.def.noun == "queue" and views.row(view, press.first)
  return row and row.name and row.name .. " is not there any more" or "no queue here"
end

---@param description string
---@param act fun(view: lazycelery.Asker, press: lazycelery.Press, names: string[])
---@return lazycelery.Action
local function on_rows(description, act)
  return {
    description = description,
    rows = true,
    repeats = true,
    run = function(view, press)
      local names = view.def.noun == "queue" and chosen(view, press) or {}
      if #names == 0 then
        return outcome.say("lazycelery: " .. none(view, press), vim.log.levels.WARN)
      end
      act(view, press, names)
    end,
  }
end

---@type table<string, lazycelery.Action>
M.actions = {
  purge = on_rows("purge: remove all that waits, saved first", M.purge),
  move = on_rows("move all that waits to another queue", M.move),
}

return M
