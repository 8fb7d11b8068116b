--- Finding one's way: what is opened, and where that leads back to.
local environment = require("lazycelery.environment")
local frame = require("lazycelery.frame")
local help = require("lazycelery.help")
local paint = require("lazycelery.paint")
local peek = require("lazycelery.peek")
local views = require("lazycelery.view")
local whole = require("lazycelery.whole")
local window = require("lazycelery.window")

local M = {} ---@type table<string, lazycelery.Action>

---@param message string
local function say(message)
  vim.api.nvim_echo({ { message } }, false, {})
end

--- Opens what stands under the cursor.
---@param view lazycelery.View
---@param mods? table
local function open(view, mods)
  local row, item = views.row(view)
  if item and item.load then
    return whole.open(view, item.load)
  elseif item and item.frame then
    return frame.open(item.frame, mods and (mods.tab and "tab" or "split") or "edit")
  elseif not row or not view.def.open then
    return
  end
  local kind, key, of = view.def.open(row, item)
  if kind and (key or of) then
    views.open({ environment = of or view.id.environment, view = kind, key = key }, { mods = mods })
  end
end

M.open = {
  description = "open what is under the cursor",
  run = function(view)
    open(view)
  end,
}

M.open_split = {
  description = "open it in a split",
  run = function(view)
    open(view, { split = "belowright", horizontal = true })
  end,
}

M.open_tab = {
  description = "open it in a tab",
  run = function(view)
    open(view, { tab = vim.fn.tabpagenr() })
  end,
}

M.peek = {
  description = "peek at the whole row; again: enter it",
  rows = true,
  run = function(view)
    peek.open(view)
  end,
}

M.up = {
  description = "up: from a detail to its list, from a list to the environments",
  run = function(view)
    if view.def.global then
      return say("At the top; <CR> leads into an environment")
    elseif not view.def.up then
      return views.turn_to(view, "environments", { replace = true })
    end
    local parent = { environment = view.id.environment, view = view.def.up }
    local previous = window.previous()
    local before = previous and views.get(previous)
    -- Its list as it was left, filter and all, is nearer than a fresh one.
    if before and before.id.view == parent.view and before.id.environment == parent.environment then
      return window.back()
    end
    views.open(parent, { replace = true })
  end,
}

M.back = {
  description = "back to what the window showed before",
  run = function(view, press)
    -- The page that a window was made for has its list behind it.
    window.back(view.def.up and function()
      M.up.run(view, press)
    end or nil)
  end,
}

M.refresh = {
  description = "refresh; let a held list go",
  run = function(view)
    views.refresh(view)
  end,
}

M.pause = {
  description = "pause, and go on",
  run = function(view)
    view.paused = not view.paused
    views.update(view, { paused = view.paused })
    paint.now(view, true)
  end,
}

M.cancel = {
  description = "cancel what is under way",
  run = function(view)
    if peek.close() then
      return
    elseif view.cancel then
      local said = view.cancel()
      if not said then
        view.cancel = nil
      end
      return say(said or "Cancelled")
    end
    say("Nothing is under way")
  end,
}

for _, kind in ipairs(views.order) do
  M[kind] = {
    description = "the " .. kind,
    run = function(view)
      views.turn_to(view, kind, { replace = true })
    end,
  }
end

---@param view lazycelery.View
---@param step integer
local function turn(view, step)
  local here = 1
  for i, kind in ipairs(views.order) do
    if kind == view.def.name or kind == view.def.up then
      here = i
    end
  end
  local kind = assert(views.order[(here - 1 + step) % #views.order + 1])
  views.turn_to(view, kind, { replace = true })
end

M.next_view = {
  description = "the next view",
  run = function(view, press)
    turn(view, math.max(1, press.count))
  end,
}

M.previous_view = {
  description = "the previous view",
  run = function(view, press)
    turn(view, -math.max(1, press.count))
  end,
}

M.environment = {
  description = "choose the environment",
  run = function(view)
    local names = environment.names()
    vim.ui.select(names, { prompt = "Environment:", kind = "lazycelery" }, function(name)
      if name and name ~= view.id.environment then
        local list = view.def.layout == "list" and not view.id.key and not view.def.global
        local kind = list and view.id.view or view.def.up
        views.open({ environment = name, view = kind or "workers" }, { replace = true })
      end
    end)
  end,
}

M.help = {
  description = "this help",
  run = function(view)
    help.open(view)
  end,
}

return M
