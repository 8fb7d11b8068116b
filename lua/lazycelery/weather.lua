--- What happens around the views: the server comes and goes, environments connect and are lost, time
--- passes. Each view is told.
local client = require("lazycelery.client")
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local follow = require("lazycelery.follow")
local head = require("lazycelery.head")
local paint = require("lazycelery.paint")
local registry = require("lazycelery.registry")
local tell = require("lazycelery.tell")
local window = require("lazycelery.window")

local M = {}

local TICK_MS = 1000

local timer ---@type uv.uv_timer_t?

--- Lets time pass, while there are views.
function M.wake()
  if timer then
    return
  end
  timer = assert(vim.uv.new_timer())
  timer:start(
    TICK_MS,
    TICK_MS,
    vim.schedule_wrap(function()
      for _, view in ipairs(registry.all()) do
        paint.tick(view)
      end
    end)
  )
end

--- Stops the clock, where no view is left.
function M.rest()
  if timer and #registry.all() == 0 then
    timer:stop()
    timer:close()
    timer = nil
  end
end

--- What a view shows became of the past, or is so no more: lines that say the same look otherwise.
---@param view lazycelery.View
local function judge(view)
  paint.soon(view)
  if view.is_list then
    pcall(vim.api.nvim__redraw, { buf = view.buf, valid = false })
  end
end

--- In calm mode no cell changes by itself: it is said instead.
---@param what string
local function announce(what)
  if config.options.calm then
    tell.of(what)
  end
end

--- Views of a restored session go on by themselves, but for those of a production environment: a
--- broker of that kind is contacted by a person only.
local function rouse()
  for _, view in ipairs(registry.all()) do
    local row = environment.get(view.id.environment)
    if view.asleep and row and row.production then
      paint.soon(view)
    elseif view.asleep then
      view.asleep = nil
      if #window.showing(view.buf) > 0 then
        follow.start(view)
      end
    end
  end
end

environment.on_change(function(changed, before)
  rouse()
  local row = environment.get(changed)
  local again = row and row.status == "connected" and before and before.status ~= "connected"
  local same = before and row and before.status == row.status
  if before and row and not same then
    announce(("%s is %s"):format(changed, row.status))
  end
  for _, view in ipairs(registry.all()) do
    if view.id.environment == changed then
      if again and view.error and view.feed then
        view.feed.renew()
      end
      if not same then
        judge(view)
      elseif not view.is_list then
        paint.soon(view)
      elseif not config.options.calm then
        head.update(view)
      end
    end
  end
end)

client.on_phase(function(phase)
  if phase == "lost" then
    announce("the server is gone; starting it again")
  end
  for _, view in ipairs(registry.all()) do
    judge(view)
  end
end)

return M
