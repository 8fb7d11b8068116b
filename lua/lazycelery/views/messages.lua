--- The messages that wait in a queue, the next to run first, as text: what is deleted or put elsewhere
--- is, once it is written. Looking removes nothing.
local editing = require("lazycelery.act.messages.editing")
local format = require("lazycelery.format")

---@param row table
---@return string?, string?
local function name(row)
  if row.undecodable and not row.name then
    return "(undecodable)", "LazyCeleryWarn"
  end
  return row.name, "LazyCeleryName"
end

---@param row table
---@return string, string?
local function arguments(row)
  if row.undecodable then
    return tostring(row.undecodable), "LazyCeleryWarn"
  end
  local kwargs = row.kwargs and row.kwargs ~= "{}" and " " .. row.kwargs or ""
  return (row.args or "") .. kwargs
end

---@type lazycelery.ViewDef
return {
  name = "messages",
  title = "Messages",
  noun = "queue",
  layout = "list",
  poll = "queue/messages",
  params = function(id)
    return { queue = id.key }
  end,
  columns = {
    {
      field = "position",
      title = "NEXT",
      rank = 1,
      min = 6,
      align = "right",
      hl = "LazyCeleryDim",
      format = function(row)
        return row.position and format.count(row.position + 1)
      end,
    },
    {
      field = "priority",
      title = "PRIO",
      rank = 5,
      min = 4,
      align = "right",
      format = function(row)
        return row.priority and tostring(row.priority), row.priority == 0 and "LazyCeleryDim" or nil
      end,
    },
    { field = "name", title = "NAME", rank = 2, min = 18, max = 40, cut = "left", format = name },
    {
      field = "id",
      title = "ID",
      rank = 3,
      min = 8,
      hl = "LazyCeleryDim",
      format = function(row)
        return row.uuid and row.uuid:sub(1, 8)
      end,
    },
    {
      field = "eta",
      title = "ETA",
      rank = 7,
      min = 8,
      format = function(row, context)
        return context:clock(row.eta)
      end,
    },
    {
      field = "retries",
      title = "RETRIES",
      rank = 8,
      min = 7,
      align = "right",
      format = function(row)
        return row.retries and row.retries > 0 and tostring(row.retries) or nil
      end,
    },
    {
      field = "bytes",
      title = "SIZE",
      rank = 6,
      min = 5,
      align = "right",
      hl = "LazyCeleryDim",
      format = function(row)
        return row.bytes and format.bytes(row.bytes)
      end,
    },
    {
      field = "args",
      title = "ARGS",
      rank = 4,
      min = 20,
      flex = true,
      format = arguments,
    },
  },
  editing = editing,
  keys = {
    { "<CR>", "open" },
    { "K", "peek" },
    { "-", "up" },
    { "gy", "yank_id" },
    { "gX", "export_messages" },
    { "<C-c>", "cancel" },
    { "g1", "workers" },
    { "g2", "tasks" },
    { "g3", "queues" },
    { "g4", "environments" },
    { "g?", "help" },
  },
  up = "queues",
  open = function(row)
    return "task", row.uuid
  end,
  identity = function(row)
    return row.uuid
  end,
  empty = function(_, id)
    return {
      ("No message waits in %s."):format(id.key),
      "",
      "It is read again every 2 s. - leads to the queues.",
    }
  end,
}
