--- Turning task events on and off: asked first, then told what came of it.
local client = require("lazycelery.client")
local environment = require("lazycelery.environment")
local format = require("lazycelery.format")
local freeze = require("lazycelery.freeze")

local M = {}

local LATE_MS = 1000

---@param on boolean
---@return string
local function word(on)
  return on and "on" or "off"
end

--- What workers answered, in one line.
---@param on boolean
---@param result { replies: table<string, table>, missing: string[] }
---@return string
function M.outcome(on, result)
  local done, refused = 0, {}
  for hostname, reply in vim.spairs(result.replies or {}) do
    if reply.error then
      table.insert(refused, hostname .. ": " .. tostring(reply.error))
    else
      done = done + 1
    end
  end
  local parts = { ("Task events %s: %s"):format(word(on), format.plural(done, "worker")) }
  if #refused > 0 then
    table.insert(parts, "refused by " .. table.concat(refused, ", "))
  end
  if #(result.missing or {}) > 0 then
    table.insert(parts, "no answer from " .. table.concat(result.missing, ", "))
  end
  return table.concat(parts, "; ")
end

--- Sends it, and says what came of it.
---@param view lazycelery.View
---@param on boolean
function M.set(view, on)
  local method = on and "enable_events" or "disable_events"
  view.cancel = client.request("worker/control", {
    environment = view.id.environment,
    method = method,
  }, function(err, result)
    view.cancel = nil
    if err then
      vim.notify("lazycelery: " .. err.message, vim.log.levels.ERROR)
    else
      vim.notify(M.outcome(on, result))
    end
  end, 10)
end

--- Workers that could be told.
---@class lazycelery.Census
---@field all integer
---@field on integer of which it is known that they send task events
---@field off integer of which it is known that they do not

---@param rows table[]
---@return lazycelery.Census
local function census(rows)
  local counts = { all = 0, on = 0, off = 0 }
  for _, row in ipairs(rows) do
    if row.status == "online" or row.status == "silent" or row.status == "unknown" then
      counts.all = counts.all + 1
      if row.events == "on" or row.events == "off" then
        counts[row.events] = counts[row.events] + 1
      end
    end
  end
  return counts
end

--- Asks, *No* first; the first answer counts, and anything but the exact item is No.
---@param view lazycelery.View
---@param on boolean
---@param workers integer
local function question(view, on, workers)
  local name = view.id.environment
  local whom = format.plural(workers, "worker")
  local yes = ("Yes, turn task events %s: %s of %s"):format(word(on), whom, name)
  local answered = false
  freeze.confirm(view)
  vim.ui.select({ "No", yes }, {
    prompt = ("Task events %s?"):format(word(on)),
    kind = "lazycelery",
    format_item = tostring,
  }, function(choice)
    if answered then
      return
    end
    answered = true
    freeze.confirmed(view)
    if choice == yes then
      M.set(view, on)
    end
  end)
end

--- Looks at the workers, then asks. A look that took long waits for a new key: what the user types
--- meanwhile must not answer a question that was not there.
---@param view lazycelery.View
---@param on? boolean default: on, unless every worker sends them already
function M.ask(view, on)
  local pressed = vim.uv.now()
  local name = view.id.environment
  local row = environment.get(name)
  if row and row.read_only then
    return vim.notify(("lazycelery: %s is read-only"):format(name), vim.log.levels.WARN)
  end
  view.cancel = client.request(
    "worker/list",
    { environment = name, limit = 1000 },
    function(err, result)
      view.cancel = nil
      if err then
        return vim.notify("lazycelery: " .. err.message, vim.log.levels.ERROR)
      end
      local counts = census(result.rows)
      local wanted = on
      if wanted == nil then
        wanted = counts.on < counts.all
      end
      local left = counts.all - (wanted and counts.on or counts.off)
      if counts.all == 0 then
        return vim.notify(
          ("lazycelery: no worker is online on %s"):format(name),
          vim.log.levels.WARN
        )
      elseif left == 0 then
        return vim.notify(
          ("lazycelery: task events are %s already, for every worker of %s"):format(
            word(wanted),
            name
          )
        )
      elseif vim.uv.now() - pressed > LATE_MS then
        return vim.notify("lazycelery: ready: ce again asks")
      end
      question(view, wanted, left)
    end
  )
end

return M
