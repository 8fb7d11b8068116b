--- One worker: its pool, its queues, what it runs, what it knows.
local format = require("lazycelery.format")
local state = require("lazycelery.state")
local text = require("lazycelery.text")

local groups = {
  online = "LazyCeleryOk",
  silent = "LazyCeleryWarn",
  lost = "LazyCeleryError",
}

---@param row table
---@param what string
---@param context lazycelery.Context
---@return string?
local function as_of(row, what, context)
  local at = row.as_of and row.as_of[what]
  return at and ("as of %s"):format(context:clock(at)) or nil
end

--- Cells that the names of statistics and settings have at most.
local NAME_CELLS = 40

--- A value of stats or conf, whatever it is, as fields `a.b   value`.
---@param fields { [1]: string, [2]: any }[]
---@param prefix string
---@param value any
local function flatten(fields, prefix, value)
  if type(value) ~= "table" then
    fields[#fields + 1] = { prefix, value }
  elseif vim.islist(value) then
    local parts = vim.tbl_map(function(inner)
      return type(inner) == "table" and vim.inspect(inner, { newline = " ", indent = "" })
        or tostring(inner)
    end, value)
    fields[#fields + 1] = { prefix, table.concat(parts, ", ") }
  else
    for key, inner in vim.spairs(value) do
      flatten(fields, prefix == "" and tostring(key) or prefix .. "." .. key, inner)
    end
  end
end

---@param page lazycelery.Page
---@param value table
local function tree(page, value)
  local fields, cells = {}, 0
  flatten(fields, "", value)
  for _, field in ipairs(fields) do
    cells = math.max(cells, text.width(text.clean(field[1])))
  end
  for _, field in ipairs(fields) do
    page:field(text.clean(field[1]), field[2], nil, nil, math.min(cells, NAME_CELLS))
  end
end

---@param page lazycelery.Page
---@param title string
---@param row table
---@param context lazycelery.Context
local function tasks(page, title, row, context)
  local member = title:lower() .. "_tasks"
  local held = row[member]
  if not held then
    return
  end
  page:section(("%s %d"):format(title, #held), as_of(row, member, context), title)
  local untold = row.untold and row.untold[title:lower()]
  if untold then
    page:line({ { untold, "LazyCeleryWarn" } })
    page:line({ { "What events and messages tell stands here.", "LazyCeleryDim" } })
  end
  for _, task in ipairs(held) do
    local uuid = task.uuid
    page:line({
      { uuid:sub(1, 8) .. "  ", "LazyCeleryDim" },
      { task.name or "—", "LazyCeleryName" },
      { "  " .. (task.args or "") },
      { task.eta and "  at " .. context:clock(task.eta) or "", "LazyCeleryBusy" },
      {
        task.started and "  " .. format.age(context:lasting(task.started)) .. " …" or "",
        "LazyCeleryBusy",
      },
    }, { task = uuid, id = uuid, row = task })
  end
end

---@param page lazycelery.Page
---@param row table
---@param context lazycelery.Context
local function head(page, row, context)
  -- What the evidence says goes on, does so no longer that we knew of.
  local was, evidence = context.past and "was " or "", not context.past and row.evidence
  page:head({
    { row.hostname, "LazyCeleryName" },
    { "  " .. was .. (row.status or "unknown"), groups[row.status] or "LazyCeleryDim" },
    { evidence and "  " .. evidence or "", "LazyCeleryDim" },
  })
  for _, ignored in ipairs(not context.past and row.ignores or {}) do
    page:head({
      {
        ("Alive and idle, but since %s it takes nothing from %s: restart it."):format(
          context:clock(ignored.since),
          ignored.queue
        ),
        "LazyCeleryWarn",
      },
    })
  end
  local software = row.software or {}
  page:facts({
    { "pool", row.pool and row.pool .. " " .. (row.concurrency or "") },
    { "pid", row.pid },
    {
      "",
      software.ident
        and ("%s %s on %s"):format(software.ident, software.version or "", software.system or ""),
    },
    { "up", row.started and format.uptime(context:lasting(row.started)) },
  })
  local skew = row.skew or 0
  page:facts({
    { "active", row.active },
    { "reserved", row.reserved },
    { "started", row.processed and format.count(row.processed) },
    {
      "failed",
      row.failed and format.count(row.failed),
      row.failed and row.failed > 0 and "LazyCeleryError" or nil,
    },
    { "task events", row.events, row.events == "off" and "LazyCeleryWarn" or nil },
    { "load", row.loadavg and ("%.2f %.2f %.2f"):format(unpack(row.loadavg)) },
    {
      "clock skew",
      math.abs(skew) >= 1 and format.duration(skew) or nil,
      "LazyCeleryWarn",
    },
  })
end

---@param page lazycelery.Page
---@param row table
---@param context lazycelery.Context
local function compose(page, row, context)
  head(page, row, context)
  page:section("Queues", as_of(row, "active_queues", context))
  for _, queue in ipairs(row.active_queues or {}) do
    local fanout = queue.exchange_type == "fanout"
    -- On the broker every consumer of a fanout queue has a name of its own.
    local known = fanout and queue.alias or queue.name
    -- Celery names all three alike unless it is told otherwise; only that is worth a word.
    local function unlike(label, name)
      return { name ~= known and ("   %s %s"):format(label, name) or "", "LazyCeleryDim" }
    end
    page:line({
      { known, "LazyCeleryName" },
      { fanout and "   fanout" or "", "LazyCeleryDim" },
      unlike("exchange", queue.exchange),
      unlike("routing key", queue.routing_key),
    }, { queue = known, id = known })
  end
  if not row.active_queues then
    for _, name in ipairs(row.queues or {}) do
      page:line({ { name, "LazyCeleryName" } }, { queue = name, id = name })
    end
  end
  tasks(page, "Active", row, context)
  tasks(page, "Reserved", row, context)
  tasks(page, "Scheduled", row, context)
  if row.revoked and #row.revoked > 0 then
    page:section(("Revoked %d"):format(#row.revoked), as_of(row, "revoked", context), "Revoked")
    for _, uuid in ipairs(row.revoked) do
      page:line({ { uuid, "LazyCeleryDim" } }, { task = uuid, id = uuid })
    end
  end
  if row.registered then
    page:section(
      ("Registered %d"):format(#row.registered),
      as_of(row, "registered", context),
      "Registered"
    )
    for _, task in ipairs(row.registered) do
      local info = {}
      for name, value in vim.spairs(task.info) do
        info[#info + 1] = ("  %s %s"):format(name, tostring(value))
      end
      page:line({ { task.name, "LazyCeleryName" }, { table.concat(info), "LazyCeleryDim" } })
    end
  end
  if row.stats then
    page:section("Statistics", as_of(row, "stats", context))
    tree(page, row.stats)
  end
  if row.conf then
    page:section("Configuration", as_of(row, "conf", context))
    tree(page, row.conf)
  end
end

---@type lazycelery.ViewDef
return {
  name = "worker",
  title = "Worker",
  noun = "worker",
  layout = "detail",
  feed = "worker/watch",
  params = function(id)
    return { hostname = id.key }
  end,
  head = function(row, id)
    return (row and state.host(row.hostname)) or id.key or ""
  end,
  compose = compose,
  keys = {},
  up = "workers",
  open = function(_, item)
    if item and item.task then
      return "task", item.task
    elseif item and item.queue then
      return "messages", item.queue
    end
  end,
  identity = function(row)
    return row.hostname
  end,
}
