--- Taking back what was removed from queues, or moved between them: the newest first, each once. The
--- server keeps the messages in recovery files; here is remembered which, as long as Neovim runs.
local asker = require("lazycelery.act.asker")
local ask = require("lazycelery.act.ask")
local format = require("lazycelery.format")
local guard = require("lazycelery.act.guard")
local job = require("lazycelery.act.job")
local outcome = require("lazycelery.act.outcome")

local M = {}

--- Messages that one call took out of a queue.
---@class lazycelery.Removal
---@field saved_as string the recovery file
---@field queue string
---@field to? string where they were moved to

--- What one key or command did, by environment; the newest last.
local done = {} ---@type table<string, lazycelery.Removal[][]>

--- Remembers what was done.
---@param environment string
---@param removals lazycelery.Removal[]
function M.push(environment, removals)
  if #removals > 0 then
    done[environment] = done[environment] or {}
    table.insert(done[environment], removals)
  end
end

--- It was taken back.
---@param environment string
---@param removals lazycelery.Removal[]
local function forget(environment, removals)
  done[environment] = vim.tbl_filter(function(other)
    return other ~= removals
  end, done[environment] or {})
end

--- Forgets a file whose messages were put back in another way.
---@param environment string
---@param saved_as string
function M.forget(environment, saved_as)
  for _, removals in ipairs(done[environment] or {}) do
    for i = #removals, 1, -1 do
      if removals[i].saved_as == saved_as then
        table.remove(removals, i)
      end
    end
  end
  done[environment] = vim.tbl_filter(function(removals)
    return #removals > 0
  end, done[environment] or {})
end

--- The reasons why messages were not put back, each with how many.
---@param skipped { reason: string }[]
---@return string[]
local function reasons(skipped)
  local counts, order = {}, {}
  for _, one in ipairs(skipped) do
    if not counts[one.reason] then
      table.insert(order, one.reason)
    end
    counts[one.reason] = (counts[one.reason] or 0) + 1
  end
  return vim.tbl_map(function(reason)
    return ("%s: %s"):format(format.count(counts[reason]), reason)
  end, order)
end

--- Where they go: `celery`, `high and low`.
---@param removals lazycelery.Removal[]
---@return string
local function places(removals)
  local names = {}
  for _, removal in ipairs(removals) do
    if not vim.list_contains(names, removal.queue) then
      table.insert(names, removal.queue)
    end
  end
  return outcome.names(names)
end

--- Asks a restore of one file after the other, the last one first.
---@param call fun(removal: lazycelery.Removal, next: fun(result: table))
---@param removals lazycelery.Removal[]
---@param through fun(sum: { restored: integer, skipped: table[], warnings: table[], cancelled: boolean })
local function each(call, removals, through)
  local sum = { restored = 0, skipped = {}, warnings = {}, cancelled = false }
  local function go(i)
    local removal = removals[i]
    if not removal or sum.cancelled then
      return through(sum)
    end
    call(removal, function(result)
      sum.restored = sum.restored + result.restored
      vim.list_extend(sum.skipped, result.skipped or {})
      vim.list_extend(sum.warnings, result.warnings or {})
      sum.cancelled = result.cancelled or false
      go(i - 1)
    end)
  end
  go(#removals)
end

---@param view lazycelery.Asker
---@param environment string
---@param removals lazycelery.Removal[]
local function restore(view, environment, removals)
  local options = { title = "Putting messages back", view = view }
  local function call(removal, go_on)
    local params = { saved_as = removal.saved_as }
    job.run(environment, "queue/restore", params, options, function(err, result)
      if err then
        return outcome.failed(err)
      end
      go_on(result)
    end)
  end
  each(call, removals, function(sum)
    -- A broker that is full, or broke off, has them put back by another undo.
    if not sum.cancelled and #sum.warnings == 0 then
      forget(environment, removals)
    end
    local parts =
      { ("Put back %s into %s"):format(format.plural(sum.restored, "message"), places(removals)) }
    if sum.cancelled then
      parts[1] = "Stopped: put back " .. format.count(sum.restored) .. "; u goes on"
    end
    vim.list_extend(parts, reasons(sum.skipped))
    outcome.say(table.concat(parts, "; "))
    outcome.warn(sum.warnings)
  end)
end

--- Takes back what was done last in an environment, after asking.
---@param view lazycelery.Asker
---@param press lazycelery.Press
function M.undo(view, press)
  local environment = view.id.environment
  if guard.refused(environment) then
    return
  end
  local stack = done[environment] or {}
  local removals = stack[#stack]
  if not removals then
    return outcome.say(
      ("lazycelery: nothing was purged, deleted or moved on %s from this Neovim"):format(
        environment
      )
    )
  end
  local options = { title = "Looking for what can be put back", view = view }
  local function call(removal, go_on)
    job.preview(environment, "queue/restore", { saved_as = removal.saved_as }, options, go_on)
  end
  each(call, removals, function(sum)
    if sum.restored == 0 then
      forget(environment, removals)
      local why = table.concat(reasons(sum.skipped), "; ")
      return outcome.say(
        ("lazycelery: nothing to put back into %s: %s"):format(places(removals), why)
      )
    end
    local from = removals[1].to
    ask.question(view, {
      press = press,
      prompt = ("Undo in %s?"):format(environment),
      yes = ("Yes, put %s back into %s on %s%s"):format(
        format.plural(sum.restored, "message"),
        places(removals),
        environment,
        from and ", from " .. from or ""
      ),
    }, function()
      restore(view, environment, removals)
    end)
  end)
end

---@type table<string, lazycelery.Action>
M.actions = {
  undo = {
    description = "undo the last purge, deletion or move",
    run = function(view, press)
      asker.here(function(who)
        if who == view or not ask.resume(who, press) then
          M.undo(who, press)
        end
      end)
    end,
  },
}

return M
