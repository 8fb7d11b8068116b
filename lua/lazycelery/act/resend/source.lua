--- Where a draft comes from: the task that is to be sent again, as exactly as it is known, or nothing
--- but a name. Arguments cross as the text that they are.
local client = require("lazycelery.client")
local sources = require("lazycelery.source")

local M = {}

local PATIENCE_S = 60
--- Bytes of a text for reading that stand in a remark.
local REMARK_BYTES = 2000

--- A value of the task, or why there is none.
---@param found lazycelery.TaskDraft
---@param row table
---@param name "args"|"kwargs"
---@param read string? the JSON that its text for reading would be
local function arguments(found, row, name, read)
  local exact = row[name .. "_json"]
  if exact then
    found.values[name] = exact
    local source = row.sources and (row.sources[name .. "_json"] or row.sources.args_json)
    found.remarks[name] = { sources.sendable(source) }
    return
  end
  local shown = row[name]
  local remarks = { "Not known exactly: write them. As the events show them, perhaps cut:" }
  if not shown then
    remarks[1] = "Not known: write them."
  else
    ---@cast shown string
    if #shown > REMARK_BYTES then
      local cut = REMARK_BYTES + vim.str_utf_start(shown, REMARK_BYTES + 1)
      shown = shown:sub(1, cut) .. "…"
    end
    vim.list_extend(remarks, vim.split(shown, "\n", { plain = true }))
  end
  if read then
    remarks[#remarks + 1] = "What that reads as stands below: without its # it is sent."
    found.values[name] = "# " .. read
  end
  found.remarks[name] = remarks
end

--- When it is to run, in words that the server reads.
---@param eta number?
---@return string
local function later(eta)
  if not eta or eta <= os.time() then
    return ""
  end
  return os.date("!%Y-%m-%dT%H:%M:%S+00:00", math.floor(eta)) --[[@as string]]
end

---@param row table
---@param read? { args_json: string?, kwargs_json: string? } what its texts for reading would be as JSON
---@return lazycelery.TaskDraft
function M.of_task(row, read)
  read = read or {}
  local message = row.message or {}
  local found = {
    title = {
      ("In place of %s, under a new id."):format(row.uuid),
      ":w shows what will be sent, and asks. g? helps.",
    },
    values = {
      name = row.name,
      queue = row.queue,
      priority = row.priority and tostring(row.priority),
      eta = later(row.eta),
      headers = message.own_headers_json or "{}",
    },
    remarks = {},
  } --[[@as lazycelery.TaskDraft]]
  if row.name and not row.queue then
    found.remarks.queue =
      { "Not known: left empty, it goes where the application sends by default." }
  end
  if not row.message then
    local what = row.priority and "headers of its own are" or "its priority and headers are"
    found.remarks[row.priority and "headers" or "priority"] =
      { ("Its message was not seen: %s not known."):format(what) }
  end
  arguments(found, row, "args", read.args_json)
  arguments(found, row, "kwargs", read.kwargs_json)
  return found
end

---@param name string
---@return lazycelery.TaskDraft
function M.of_name(name)
  return {
    title = { "A new task. :w shows what will be sent, and asks. g? helps." },
    values = { name = name, headers = "{}", args = "[]", kwargs = "{}" },
    remarks = { queue = { "Left empty, it goes where the application sends by default." } },
  }
end

--- What the server would send of a task that is known by texts for reading alone.
---@param id lazycelery.ViewId
---@param row table
---@param done fun(read: table?)
local function read_texts(id, row, done)
  if row.args_json and row.kwargs_json or not (row.args or row.kwargs) then
    return done()
  end
  local params = {
    environment = id.environment,
    uuids = { id.key },
    accept_inexact = true,
    dry_run = true,
  }
  client.request("task/retry", params, function(_, answer)
    local one = answer and (answer.sent or {})[1]
    done(one and one.source == "repr" and one or nil)
  end, PATIENCE_S)
end

---@param id lazycelery.ViewId
---@param done fun(err: lazycelery.Error?, draft: lazycelery.TaskDraft?, was: table<string, string>?)
function M.load(id, done)
  local key = assert(id.key)
  if id.view == "send" then
    return done(nil, M.of_name(key))
  end
  local asked = { environment = id.environment, uuid = key, full = true }
  client.request("task/get", asked, function(err, row)
    if err then
      return done(err)
    end
    read_texts(id, row, function(read)
      done(nil, M.of_task(row, read), {
        args_json = row.args_json,
        kwargs_json = row.kwargs_json,
        own_headers_json = row.message and (row.message.own_headers_json or "{}"),
      })
    end)
  end, PATIENCE_S)
end

return M
