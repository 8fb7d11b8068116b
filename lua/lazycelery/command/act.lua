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

---@type table<string, lazycelery.Subcommand>
return {
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
}
