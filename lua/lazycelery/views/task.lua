--- One task: its timeline, arguments, outcome, traceback, workflow and message.
local format = require("lazycelery.format")
local sources = require("lazycelery.source")
local state = require("lazycelery.state")
local text = require("lazycelery.text")
local timeline = require("lazycelery.timeline")

local LOCATION_CELLS, FUNCTION_CELLS, STATE_CELLS = 44, 24, 11
--- The code of a frame is what one looks for: the path gives way to it, down to its last folders.
local CODE_CELLS, LEAST_LOCATION = 26, 22

---@param row table
---@param field string
---@return string?
local function source_of(row, field)
  return sources.words(row.sources and row.sources[field])
end

--- Why a task has no name: what was seen of it does not tell.
---@param page lazycelery.Page
---@param row table
local function nameless(page, row)
  local seen_by = {}
  for _, entry in ipairs(row.history or {}) do
    seen_by[entry.source] = true
  end
  local why = seen_by.event and "No event that was seen names it: only its first one does."
    or seen_by.backend and state.ONLY_RESULT
  if why then
    page:head({ { why, "LazyCeleryDim" } })
  end
end

--- What a task that does not run yet waits for.
---@param page lazycelery.Page
---@param row table
---@param context lazycelery.Context
local function waits(page, row, context)
  if row.place == "queue" and row.consumers == 0 then
    local words = ("No worker reads %s: it waits until one does."):format(row.queue)
    page:head({ { words, "LazyCeleryWarn" } })
  elseif row.place == "queue" and row.consumers then
    local readers = row.consumers == 1 and "1 worker reads"
      or format.count(row.consumers) .. " workers read"
    page:head({ { ("Waits for a worker: %s %s."):format(readers, row.queue), "LazyCeleryDim" } })
  elseif row.place == "reserved" and not row.orphaned then
    local who = row.worker or "Its worker"
    page:head({ { who .. " holds it until it has a place free.", "LazyCeleryDim" } })
  elseif row.place == "scheduled" and row.eta and not row.orphaned then
    local left = row.eta - context:now()
    local due = left > 0 and ("Runs in %s."):format(format.duration(left))
      or "Due: its worker runs it when it has a place free."
    page:head({ { due, "LazyCeleryBusy" } })
  end
end

---@param page lazycelery.Page
---@param row table
---@param context lazycelery.Context
local function head(page, row, context)
  local status = state.chunks(row, context)
  page:head({
    { row.name or "(the name is not known)", "LazyCeleryName" },
    { "  " },
    status[1],
    { "  " .. row.uuid, "LazyCeleryDim" },
  })
  local of = row.max_retries and " of " .. row.max_retries or ""
  page:facts({
    { "queue", row.queue or "not known", not row.queue and "LazyCeleryDim" or nil },
    { "worker", row.worker and row.worker .. (row.pid and (" (pid %d)"):format(row.pid) or "") },
    { "retries", row.retries and row.retries .. of },
    { "priority", row.priority },
    { "position", row.position and format.count(row.position + 1) .. " in its queue" },
    { "ran", row.runtime and format.duration(row.runtime) },
    { "eta", row.eta and format.moment(row.eta) },
    { "expires", row.expires and format.moment(row.expires) },
    { "redelivered", row.redelivered and "yes", "LazyCeleryWarn" },
  })
  if not row.name then
    nameless(page, row)
  end
  if row.orphaned then
    local since = row.orphaned.since
    page:head({
      {
        "Its worker is lost" .. (since and (" since " .. context:clock(since)) or "") .. ".",
        "LazyCeleryError",
      },
    })
  elseif row.ended == "unknown" then
    page:head({ { "It no longer runs, and nothing says how it ended.", "LazyCeleryWarn" } })
  end
  for _, link in ipairs({
    { "Sent again as ", row.retried_as },
    { "Sent in place of ", row.retry_of },
  }) do
    if link[2] then
      local chunks = { { link[1], "LazyCeleryDim" }, { link[2], "LazyCeleryKey" } }
      page:head(chunks, { task = link[2], id = link[2] })
    end
  end
  waits(page, row, context)
  for _, place in ipairs(row.also or {}) do
    local words = row.state == "REVOKED"
        and "Its message still waits in %s: a worker that was told drops it."
      or "A message of this id waits in %s as well: it would run, too."
    page:head({ { words:format(place.queue), "LazyCeleryWarn" } })
  end
end

--- States that a backend stores, in the words of events.
local stored = {
  STARTED = "task-started",
  SUCCESS = "task-succeeded",
  FAILURE = "task-failed",
  RETRY = "task-retried",
  REVOKED = "task-revoked",
}

--- What happened, each thing once: the backend stores the very end that an event tells, and a
--- worker that is asked says when it started what it runs.
---@param row table
---@return table[]
local function told(row)
  local entries, known = {}, {}
  for _, entry in ipairs(row.history or {}) do
    known[entry.source == "event" and entry.type or ""] = true
  end
  for _, entry in ipairs(row.history or {}) do
    local type = stored[entry.type] or entry.type
    if entry.at and (entry.source == "event" or not known[type]) then
      entries[#entries + 1] = { type = type, at = entry.at }
    end
  end
  for _, entry in ipairs(entries) do
    known[entry.type] = true
  end
  for _, entry in ipairs({
    { type = "task-received", at = row.received },
    { type = "task-started", at = row.started },
  }) do
    if entry.at and not known[entry.type] then
      local i = 1
      while entries[i] and entries[i].at <= entry.at do
        i = i + 1
      end
      table.insert(entries, i, entry)
    end
  end
  return entries
end

--- How many attempts there were: of a task that is known by what it stored, some may not have been seen.
---@param attempts table[]
---@return string?
local function counted(attempts)
  if #attempts < 2 then
    return nil
  end
  local all = attempts[#attempts].retries == #attempts - 1
  return format.plural(#attempts, "attempt") .. (all and "" or " seen")
end

---@param page lazycelery.Page
---@param row table
---@param context lazycelery.Context
local function history(page, row, context)
  local entries = told(row)
  if #entries == 0 then
    return
  end
  page:section("Timeline", counted(row.attempts or {}))
  local outcome = row.exception and state.exception(row.exception) or row.result
  if row.place == "active" and row.started and not row.orphaned then
    outcome = "for " .. context:age(row.started)
  end
  for _, chunks in ipairs(timeline.lines(entries, outcome, context.ascii)) do
    page:line(chunks)
  end
end

---@param page lazycelery.Page
---@param row table
---@param context lazycelery.Context
local function attempts(page, row, context)
  if #(row.attempts or {}) < 2 then
    return
  end
  page:section("Attempts")
  for _, attempt in ipairs(row.attempts) do
    local took, status = attempt.runtime, state.chunks(attempt, context)[1]
    local number = attempt.retries and ("%d"):format(attempt.retries + 1) or "—"
    page:line({
      { text.pad(number, 2, true) .. "  ", "LazyCeleryDim" },
      { text.pad(status[1], STATE_CELLS), status[2] },
      { "  " .. context:clock(attempt.started or attempt.received), "LazyCeleryDim" },
      { "  " .. (attempt.worker or "") },
      { took and "  " .. format.duration(took) or "", "LazyCeleryDim" },
      { attempt.exception and "  " .. state.exception(attempt.exception) or "", "LazyCeleryWarn" },
    }, { row = attempt })
  end
end

---@param page lazycelery.Page
---@param row table
---@param name string
local function value(page, row, name)
  local exact = row[name .. "_json"]
  local bytes = row[name .. "_bytes"]
  if exact then
    page:field(name, exact, "LazyCeleryString")
  elseif row[name] then
    page:field(name, row[name] .. (row[name .. "_cut"] and "   (cut)" or ""))
  elseif bytes then
    local large = ("%s, not loaded: <CR> loads it"):format(format.bytes(bytes))
    page:field(name, large, "LazyCeleryDim", { load = name .. "_json" })
  else
    page:field(name, "not known", "LazyCeleryDim")
  end
end

---@param page lazycelery.Page
---@param row table
local function arguments(page, row)
  local exact = row.args_json or row.kwargs_json
  local from = source_of(row, exact and "args_json" or "args") or source_of(row, "args")
  local how = exact and "exact"
    or row.args_cut and "cut: a text made for reading"
    or row.args and "a text made for reading, not exact"
    or nil
  page:section("Arguments", how and from and how .. ", " .. from or how or from)
  value(page, row, "args")
  value(page, row, "kwargs")
end

---@param page lazycelery.Page
---@param row table
local function result(page, row)
  if not row.result and not row.result_json then
    return
  end
  local exact = row.result_json and "exact"
  local from = source_of(row, exact and "result_json" or "result")
  page:section("Result", exact and from and exact .. ", " .. from or exact or from)
  value(page, row, "result")
end

---@param frame { file: string, line: integer? }
---@return string
local function location(frame)
  return text.clean(("%s:%d"):format(frame.file, frame.line or 0))
end

--- One line a frame, `path:line   in function   code`, aligned. Where an exception led to another, it
--- stands between their frames: those after it were not called by those before.
---@param page lazycelery.Page
---@param frames table[]
local function frames_of(page, frames)
  local at, within = 0, 0
  for _, frame in ipairs(frames) do
    at = math.max(at, text.width(location(frame)))
    within = math.max(within, text.width(frame["function"] or "?"))
  end
  within = math.min(within, FUNCTION_CELLS)
  local room = page.width - CODE_CELLS - within - #"      in    "
  at = math.min(at, LOCATION_CELLS, math.max(LEAST_LOCATION, room))
  for i, frame in ipairs(frames) do
    local name = text.cut(text.clean(frame["function"] or "?"), within)
    page:line({
      { text.pad(text.cut(location(frame), at, true), at), "LazyCeleryFile" },
      { "   in " .. text.pad(name, within), "LazyCeleryDim" },
      { "   " .. vim.trim(frame.code or "") },
    }, { frame = frame })
    if frame.exception and i < #frames then
      page:line({ { frame.exception, "LazyCeleryError" }, { "  which led to", "LazyCeleryDim" } })
    end
  end
end

---@param page lazycelery.Page
---@param row table
local function traceback(page, row)
  local found = row.traceback
  if not found then
    if row.exception then
      page:section("Exception", source_of(row, "exception"))
      page:line({ { row.exception, "LazyCeleryError" } })
    end
    return
  end
  page:section("Traceback", "<CR>, gF open; gq to the quickfix")
  frames_of(page, found.frames or {})
  if #(found.frames or {}) == 0 then
    for _, line in ipairs(vim.split(vim.trim(found.text or ""), "\n")) do
      page:line({ { line } })
    end
  end
  if row.exception then
    page:line({ { state.exception(row.exception), "LazyCeleryError" } })
  end
end

---@param page lazycelery.Page
---@param row table
---@param context lazycelery.Context
local function workflow(page, row, context)
  local tasks = row.workflow or {}
  -- A retry is sent by the run before it: Celery then calls a task its own parent.
  local links = vim.tbl_filter(function(link)
    return link[2] and link[2] ~= row.uuid
  end, {
    { "parent", row.parent_id },
    { "root", row.root_id },
    { "group", row.group_id },
  })
  if #tasks == 0 and #links == 0 then
    return
  end
  page:section("Workflow")
  for i, task in ipairs(tasks) do
    local branch = context.ascii and "+- " or (i == #tasks and "└─ " or "├─ ")
    local status = state.chunks(task, context)[1]
    page:line({
      { branch, "LazyCeleryDim" },
      { text.pad(status[1], STATE_CELLS), status[2] },
      { "  " .. (task.name or "—"), "LazyCeleryName" },
      { "  " .. task.uuid:sub(1, 8), "LazyCeleryDim" },
      {
        task.uuid == row.uuid and context:glyph("  ◀", "  <") or "  " .. (task.relation or ""),
        "LazyCeleryDim",
      },
    }, { task = task.uuid, id = task.uuid, row = task })
  end
  for _, link in ipairs(links) do
    local task = link[1] ~= "group" and link[2] or nil
    page:field(link[1], link[2], "LazyCeleryDim", { task = task, id = link[2] })
  end
end

---@param page lazycelery.Page
---@param row table
local function message(page, row)
  local found = row.message
  if not found then
    return
  end
  page:section("Message", "headers and properties, raw")
  page:field("content type", found.content_type or "not known")
  page:field("size", found.bytes and format.bytes(found.bytes) or "not known")
  page:field("headers", found.headers_json or "not known")
  page:field("properties", found.properties_json or "not known")
end

---@type lazycelery.ViewDef
return {
  name = "task",
  title = "Task",
  noun = "task",
  layout = "detail",
  feed = "task/watch",
  params = function(id)
    return { uuid = id.key }
  end,
  head = function(row, id)
    return (row and row.name and row.name .. "  " or "") .. (id.key or ""):sub(1, 8)
  end,
  compose = function(page, row, context)
    head(page, row, context)
    history(page, row, context)
    attempts(page, row, context)
    arguments(page, row)
    result(page, row)
    traceback(page, row)
    workflow(page, row, context)
    message(page, row)
  end,
  keys = {
    { "r", "retry" },
    { "x", "revoke" },
    { "X", "terminate" },
    { "cc", "change" },
    { "gY", "yank_arguments" },
    { "gq", "quickfix" },
  },
  up = "tasks",
  open = function(_, item)
    if item and item.task then
      return "task", item.task
    end
  end,
  identity = function(row)
    return row.uuid
  end,
}
