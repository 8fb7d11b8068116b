--- Tasks that a key, a selection, a range, ids or a filter mean, and what can be done to them.
local ask = require("lazycelery.act.ask")
local format = require("lazycelery.format")
local guard = require("lazycelery.act.guard")
local retry = require("lazycelery.act.retry")
local revoke = require("lazycelery.act.revoke")
local tell = require("lazycelery.tell")
local views = require("lazycelery.view")

local M = {}

--- Tasks that are meant, caught when the key was pressed.
---@class lazycelery.Chosen
---@field uuids? string[]
---@field filter? string instead: all that match
---@field names table<string, string> as far as the view knows them

--- Those of lines of a list; of a page the ones that its lines name, else the one it is about.
---@param view lazycelery.View
---@param press lazycelery.Press
---@return lazycelery.Chosen
local function chosen(view, press)
  local found = { uuids = {}, names = {} }
  local known = {}
  local function add(uuid, name)
    if uuid and not known[uuid] then
      known[uuid] = true
      table.insert(found.uuids, uuid)
      found.names[uuid] = name
    end
  end
  local page = view.def.layout == "detail"
  for line = press.first, press.last do
    local row, item = views.row(view, line)
    if not page and row then
      add(row.uuid, row.name)
    elseif item and item.task then
      add(item.task, item.row and item.row.name)
    end
  end
  if page and view.def.noun == "task" and #found.uuids == 0 then
    add(view.id.key, (view.rows.row or {}).name)
  end
  return found
end

--- Everything that is loaded is meant, and more match: those alone, or all?
---@param view lazycelery.View
---@param press lazycelery.Press
---@param found lazycelery.Chosen
---@param go fun(found: lazycelery.Chosen)
local function or_all(view, press, found, go)
  local loaded, total = #view.keys, view.total or 0
  local every = view.def.layout == "list" and #found.uuids >= loaded and total > loaded
  if not every or press.bang then
    return go(found)
  end
  local function answer(with)
    return function()
      press.at = vim.uv.now()
      go(with)
    end
  end
  local filter = view.filter or ""
  local least = view.exact == false and "at least " or ""
  local which = filter ~= "" and ("that match " .. filter) or "tasks there are"
  ask.choose(view, ("More match: %s?"):format(press.name), {
    { ("The %s that are loaded"):format(format.count(#found.uuids)), answer(found) },
    {
      ("All %s%s %s"):format(least, format.count(total), which),
      answer({ filter = filter, names = {} }),
    },
  })
end

---@alias lazycelery.TaskAct fun(view: lazycelery.Asker, press: lazycelery.Press, found: lazycelery.Chosen)

---@type table<string, lazycelery.TaskAct>
local acts = { retry = retry.ask, revoke = revoke.ask, terminate = revoke.terminate }

---@param name string
---@return fun(view: lazycelery.View, press: lazycelery.Press)
local function on_lines(name)
  return function(view, press)
    local found = chosen(view, press)
    if #found.uuids == 0 then
      return tell.of("no task here")
    elseif not guard.refused(view.id.environment) then
      or_all(view, press, found, function(meant)
        acts[name](view, press, meant)
      end)
    end
  end
end

--- Does it to tasks by their ids.
---@param name "retry"|"revoke"|"terminate"
---@param asker lazycelery.Asker
---@param press lazycelery.Press
function M.by_id(name, asker, press)
  if guard.refused(asker.id.environment) then
    return
  end
  local view, names = views.get(asker.buf), {}
  for _, uuid in ipairs(press.ids) do
    names[uuid] = (view and view.rows[uuid] or {}).name
  end
  acts[name](asker, press, { uuids = press.ids, names = names })
end

---@type table<string, lazycelery.Action>
M.actions = {
  retry = {
    description = "retry: send it again, as exactly as it is known",
    rows = true,
    repeats = true,
    run = on_lines("retry"),
  },
  revoke = {
    description = "revoke: workers are told not to run it",
    rows = true,
    repeats = true,
    run = on_lines("revoke"),
  },
  terminate = {
    description = "terminate: end it while it runs, by a signal",
    rows = true,
    repeats = true,
    run = on_lines("terminate"),
  },
}

return M
