--- Who asks where a command is given: the view it is typed in, or, anywhere else, an environment.
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local freeze = require("lazycelery.freeze")
local views = require("lazycelery.view")

local M = {}

--- An environment that is acted in from buffers that are none of ours.
---@class lazycelery.Stranger: lazycelery.Asker

local strangers = {} ---@type table<string, lazycelery.Stranger> by environment

--- One for each environment: a question that came late is known again.
---@param name string
---@return lazycelery.Stranger
local function stranger(name)
  local asker = strangers[name] or { id = { environment = name, view = "command" } }
  strangers[name], asker.buf = asker, vim.api.nvim_get_current_buf()
  asker.stopped_by = ":LazyCelery cancel"
  -- A picker that never answers is given up here as in a view, and leaves nothing behind.
  vim.api.nvim_create_autocmd("CursorMoved", {
    group = vim.api.nvim_create_augroup("lazycelery.command." .. name, {}),
    buffer = asker.buf,
    callback = function()
      local open = asker.confirming ~= nil
      freeze.confirmed(asker)
      return open
    end,
  })
  return asker
end

--- The environment that a command which changes something is about: that of the options, the only one, or
--- the one that is chosen of several.
---@param go fun(name: string)
local function choose(go)
  environment.meet(function(names)
    local only = config.options.environment or #names == 1 and names[1]
    if only then
      return go(only)
    end
    vim.ui.select(names, { prompt = "In which environment?", kind = "lazycelery" }, function(name)
      if name then
        go(name)
      end
    end)
  end)
end

--- The view, or the buffer of a task to be sent, in which a command is given.
---@return lazycelery.Asker?
---@return lazycelery.View?
local function current()
  local view = views.get() or views.get(vim.b.lazycelery_view)
  if view then
    return not view.def.global and view or nil, view
  end
  return require("lazycelery.act.resend.edit").get(vim.api.nvim_get_current_buf()), nil
end

--- The environment of where one is, as far as that is known without asking.
---@return string?
function M.environment()
  local asker, view = current()
  local name = asker and asker.id.environment or view and views.environment(view)
  return name or environment.names()[1]
end

--- Goes on with whoever asks.
---@param go fun(asker: lazycelery.Asker, view: lazycelery.View?)
function M.here(go)
  local asker, view = current()
  local name = view and views.environment(view)
  if asker then
    return go(asker, view)
  elseif name then
    return go(stranger(name))
  end
  choose(function(chosen)
    go(stranger(chosen))
  end)
end

--- What asks, as the key of an action does: a command, and what it names.
---@param name string
---@param bang boolean
---@param ids string[]
---@return lazycelery.Press
function M.press(name, bang, ids)
  return {
    name = name,
    at = vim.uv.now(),
    bang = bang,
    count = 0,
    register = "",
    first = 1,
    last = 1,
    ids = ids,
  }
end

--- Ends what commands have under way outside of views.
---@return string said
function M.cancel()
  for _, asker in pairs(strangers) do
    local cancel = asker.cancel
    if cancel then
      return cancel() or "Cancelled"
    end
  end
  return "Nothing is under way"
end

return M
