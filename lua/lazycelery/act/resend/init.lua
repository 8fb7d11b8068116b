--- Change and resend: the action, and `:LazyCelery send`.
local arguments = require("lazycelery.act.resend.arguments")
local ask = require("lazycelery.act.ask")
local asker = require("lazycelery.act.asker")
local edit = require("lazycelery.act.resend.edit")
local follow = require("lazycelery.act.resend.follow")
local outcome = require("lazycelery.act.outcome")
local send = require("lazycelery.act.resend.send")
local tell = require("lazycelery.tell")
local views = require("lazycelery.view")

local M = {}

--- Opens the task under the cursor to be changed.
---@param view lazycelery.View
---@param press lazycelery.Press
local function change(view, press)
  local row, item = views.row(view, press.first)
  local uuid = item and item.task or row and row.uuid
  if not uuid then
    return tell.of("no task here", vim.log.levels.WARN)
  end
  edit.open({ environment = view.id.environment, view = "edit", key = uuid })
end

--- Sends a task with the arguments of a command line, after asking.
---@param view lazycelery.Asker
---@param name string
---@param json string
---@param bang boolean
local function straight(view, name, json, bang)
  local args, kwargs, mistake = arguments.split(json)
  if mistake then
    return tell.of(mistake, vim.log.levels.ERROR)
  end
  local press = asker.press("send", bang, { name, json })
  if ask.resume(view, press) then
    return
  end
  local uuid = send.uuid()
  send.propose({
    view = view,
    press = press,
    params = { name = name, args_json = args, kwargs_json = kwargs, uuid = uuid },
    refused = outcome.failed,
    going = function()
      return true
    end,
    declined = function() end,
    done = function(err)
      if err then
        local about = err.data and err.data.kind == "unsure" and (" (task %s)"):format(uuid) or ""
        return outcome.failed({ code = err.code, message = err.message .. about })
      end
      outcome.say("Sent as " .. uuid)
      follow.show(view.id.environment, uuid)
    end,
  })
end

--- `:LazyCelery send <task> [json]`: with arguments it is asked at once, without they are written in a
--- buffer.
---@param who lazycelery.Asker
---@param rest string
---@param options { mods: table, bang: boolean }
function M.send(who, rest, options)
  local name, json = rest:match("^(%S+)%s*(.*)$")
  if not name or not json then
    return tell.of(":LazyCelery send takes a task's name", vim.log.levels.ERROR)
  elseif json == "" then
    local id = { environment = who.id.environment, view = "send", key = name }
    return edit.open(id, { mods = options.mods })
  end
  straight(who, name, json, options.bang)
end

---@type table<string, lazycelery.Action>
M.actions = {
  change = {
    description = "change it, and send it in its place",
    run = change,
  },
}

return M
