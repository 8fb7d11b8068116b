--- A cluster for screens: one of each thing a view can show, at a fixed moment.
local double = require("double")

local M = {}

local NOW = 1795521880 -- 2026-11-24 12:04:40 UTC

---@param last number
---@param gaps number[]
---@return number[]
local function beats(last, gaps)
  local found = { last }
  for _, gap in ipairs(gaps) do
    table.insert(found, 1, found[1] - gap)
  end
  return found
end

M.workers = {
  {
    hostname = "celery@gpu-1",
    status = "lost",
    evidence = "no heartbeat for a minute",
    pool = "solo",
    concurrency = 1,
    active = 0,
    processed = 4411,
    counters = { ["task-succeeded"] = 4411, ["task-failed"] = 0 },
    heartbeats = { NOW - 190 },
    freq = 2,
    queues = { "gpu" },
    events = "on",
  },
  {
    hostname = "celery@web-1",
    status = "online",
    evidence = "heartbeats arrive",
    pool = "prefork",
    concurrency = 4,
    active = 3,
    processed = 120341,
    runtime = 0.12,
    counters = { ["task-succeeded"] = 988, ["task-failed"] = 12 },
    loadavg = { 0.41, 0.38, 0.3 },
    cpu = 0.38,
    memory = 222298112,
    started = NOW - 273600,
    heartbeats = beats(NOW - 1, { 2, 2, 2, 2, 2, 2, 2, 2 }),
    freq = 2,
    queues = { "celery", "high" },
    events = "on",
  },
  {
    hostname = "celery@web-2",
    status = "silent",
    evidence = "heartbeats stopped",
    pool = "threads",
    concurrency = 8,
    active = 8,
    processed = 98020,
    runtime = 8.21,
    counters = { ["task-succeeded"] = 999, ["task-failed"] = 1 },
    loadavg = { 2.1, 1.9, 1.2 },
    cpu = 0.91,
    memory = 671088640,
    started = NOW - 273600,
    heartbeats = beats(NOW - 9, { 8, 7, 2, 3, 2, 2, 2, 2 }),
    freq = 2,
    queues = { "celery" },
    events = "off",
  },
}

---@param number integer
---@param state string
---@param more table
---@return table
local function task(number, state, more)
  return vim.tbl_extend("force", {
    uuid = ("%08x-3b7e-4d1c-9a55-0f6f3e2d1c77"):format(number),
    name = "shop.tasks.charge",
    state = state,
    place = "done",
    args = "(42, 'eur')",
    kwargs = "{}",
    queue = "high",
    worker = "celery@web-1",
    seen = NOW - 9,
    received = NOW - 9,
  }, more)
end

M.tasks = {
  task(0x5f2c9e10, "FAILURE", { exception = "CardDeclined('insufficient funds')", runtime = 0.12 }),
  task(0x77aa01bc, "STARTED", {
    name = "shop.tasks.report",
    args = "(month=11)",
    place = "active",
    started = NOW - 8,
    progress = { current = 62, total = 100 },
  }),
  task(0x0c11d2aa, "SUCCESS", { result = "{'reserved': True}", runtime = 0.018 }),
  task(0x1b22dd40, "RETRY", {
    name = "shop.tasks.sync",
    args = "()",
    exception = "ConnectionError('timed out')",
    retries = 1,
    max_retries = 4,
  }),
  task(0xc0ffee00, "PENDING", { place = "queue", worker = nil, received = nil }),
  task(
    0x9a9a9a9a,
    "RECEIVED",
    { name = "shop.tasks.remind", place = "scheduled", eta = NOW + 252 }
  ),
  task(0x9a9a9a9b, "RECEIVED", { name = "shop.tasks.remind", place = "reserved" }),
  task(0x31c0ab77, "REVOKED", { name = "shop.billing.invoices.tasks.generate_monthly_statement" }),
  task(0xe77e0019, "STARTED", {
    name = "shop.tasks.encode",
    args = "('日本語.mp4',)",
    orphaned = { worker = "celery@gpu-1", since = NOW - 180 },
    worker = "celery@gpu-1",
    seen = NOW - 100000,
    received = NOW - 100000,
  }),
  task(0xe77e001a, "STARTED", { ended = "unknown" }),
}
M.tasks[5].worker, M.tasks[5].received = nil, nil

M.task = vim.tbl_extend("force", M.tasks[1], {
  pid = 4242,
  priority = 5,
  retries = 2,
  max_retries = 3,
  args_json = '[42, "eur"]',
  kwargs_json = '{"order": 9007199254740993, "rate": 1.0}',
  sources = { args = "backend" },
  root_id = "90ab0000-3b7e-4d1c-9a55-0f6f3e2d1c77",
  parent_id = "11cd0000-3b7e-4d1c-9a55-0f6f3e2d1c77",
  history = {
    { type = "task-sent", at = NOW - 9.05, seen = NOW - 9.05, source = "event" },
    { type = "task-received", at = NOW - 9, seen = NOW - 9, source = "event" },
    { type = "task-started", at = NOW - 7.8, seen = NOW - 7.8, source = "event" },
    { type = "task-failed", at = NOW - 7.68, seen = NOW - 7.68, source = "event" },
  },
  attempts = {
    {
      retries = 1,
      state = "RETRY",
      worker = "celery@web-2",
      started = NOW - 40,
      exception = "Timeout('slow')",
    },
    {
      retries = 2,
      state = "FAILURE",
      worker = "celery@web-1",
      started = NOW - 7.8,
      exception = "CardDeclined('insufficient funds')",
    },
  },
  traceback = {
    text = "Traceback …",
    frames = {
      { file = "shop/tasks.py", line = 88, ["function"] = "charge", code = "gateway.pay(amount)" },
      {
        file = "shop/gateway.py",
        line = 31,
        ["function"] = "pay",
        code = "raise CardDeclined(msg)",
      },
    },
  },
  workflow = {
    {
      uuid = "0c11d2aa-3b7e-4d1c-9a55-0f6f3e2d1c77",
      name = "shop.tasks.reserve",
      state = "SUCCESS",
      relation = "group",
    },
    { uuid = M.tasks[1].uuid, name = "shop.tasks.charge", state = "FAILURE", relation = "group" },
    {
      uuid = "c0ffee01-3b7e-4d1c-9a55-0f6f3e2d1c77",
      name = "shop.tasks.confirm",
      state = "PENDING",
      relation = "chord",
    },
  },
  message = {
    content_type = "application/json",
    bytes = 412,
    headers_json = '{"lang": "py", "task": "shop.tasks.charge"}',
    properties_json = '{"delivery_mode": 2}',
  },
})

--- A queue as the worker that consumes it tells it.
---@param entry table
---@return table
local function consumed(entry)
  return vim.tbl_extend("force", entry, { raw = entry })
end

--- A task as the worker that runs or holds it tells it.
---@param row table
---@return table
local function held(row)
  return {
    uuid = row.uuid,
    name = row.name,
    args = row.args,
    started = row.started,
    eta = row.eta,
    acknowledged = false,
    redelivered = false,
  }
end

M.worker = vim.tbl_extend("force", M.workers[2], {
  pid = 4242,
  software = { ident = "py-celery", version = "5.7.0", system = "Linux" },
  reserved = 4,
  failed = 12,
  skew = 0.01,
  as_of = { stats = NOW - 3, active_tasks = NOW - 2, conf = NOW - 40 },
  active_queues = {
    consumed({
      name = "celery",
      exchange = "celery",
      exchange_type = "direct",
      routing_key = "celery",
    }),
    consumed({
      name = "high",
      exchange = "orders",
      exchange_type = "topic",
      routing_key = "orders.*",
    }),
  },
  active_tasks = { held(M.tasks[2]) },
  reserved_tasks = {},
  scheduled_tasks = { held(M.tasks[6]) },
  registered = {
    { name = "shop.tasks.charge", info = { max_retries = 3, acks_late = false } },
    { name = "shop.tasks.report", info = vim.empty_dict() },
  },
  stats = { total = { ["shop.tasks.charge"] = 120341 }, pool = { processes = { 1, 2, 3, 4 } } },
  conf = { broker_url = "redis://:***@localhost:6379/0" },
})

--- One that was never connected has no counts.
---@param more table
---@return table
local function environment(more)
  local row = { missed = {}, production = false, read_only = false }
  local of_all = more.counts and { dropped = 0, undecodable = 0 }
  local counts = of_all and vim.tbl_extend("force", of_all, more.counts)
  return vim.tbl_extend("force", row, more, { counts = counts })
end

M.environments = {
  environment({
    name = "batch",
    transport = "redis",
    url = "redis://:***@batch:6379/1",
    status = "disconnected",
    error = "Connection refused",
    url_from = "config.toml",
    counts = { workers = 2, tasks = 311, queues = 1, active = 0, queued = 12 },
  }),
  environment(vim.tbl_extend("force", double.environment, {
    production = true,
    url_from = "config.toml",
  })),
  environment({
    name = "staging",
    transport = "redis",
    url = "redis://staging:6379/0",
    url_from = "pass show celery/staging",
    status = "connected",
    events = "off",
    counts = { workers = 1, tasks = 12, queues = 1, active = 0, queued = 0 },
    read_only = true,
  }),
  environment({
    name = "test",
    url = "redis://localhost:6379/9",
    status = "idle",
    url_from = "config.toml",
  }),
}

M.queues = {
  {
    name = "celery",
    messages = 120,
    priorities = { ["0"] = 120, ["3"] = 0, ["6"] = 0, ["9"] = 0 },
    unacked = 8,
    consumers = 2,
    incoming_rate = 80.1,
    outgoing_rate = 82,
    net_rate = -1.9,
    history = { 3, 3, 4, 4, 8, 9, 12, 14, 12, 9, 8, 5, 4, 3, 3 },
    oldest = NOW - 2,
  },
  { name = "empty", messages = 0, priorities = { ["0"] = 0 }, unacked = 0, consumers = 1 },
  { name = "gpu", messages = 31, priorities = { ["0"] = 31 }, unacked = 1, consumers = 0 },
  {
    name = "high",
    messages = 1204,
    priorities = { ["0"] = 900, ["3"] = 200, ["6"] = 100, ["9"] = 4 },
    unacked = 4,
    consumers = 1,
    incoming_rate = 12,
    outgoing_rate = 2,
    net_rate = 10,
    history = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
    oldest = NOW - 900,
  },
}

---@return table[]
local function messages()
  local rows = {}
  for i = 1, 3 do
    rows[i] = {
      key = "tag-" .. i,
      position = i - 1,
      priority = i == 1 and 9 or 0,
      uuid = M.tasks[i].uuid,
      name = M.tasks[i].name,
      args = M.tasks[i].args,
      kwargs = "{}",
      retries = i - 1,
      bytes = 400 * i,
    }
  end
  rows[4] = {
    key = "tag-4",
    position = 3,
    priority = 0,
    retries = 0,
    bytes = 77,
    undecodable = "content type application/x-python-serialize",
  }
  return rows
end

double.answers["queue/messages"] = function()
  return { rows = messages(), total = 1204, exact = true }
end

local nouns = { workers = "worker", tasks = "task", queues = "queue", environments = "environment" }

--- Everything a view is waiting for.
---@param view string
function M.tell(view)
  local noun = nouns[view]
  if noun then
    double.list(noun, vim.deepcopy(M[view]))
  elseif view ~= "messages" then
    local row = vim.deepcopy(M[view])
    row.key = row.uuid or row.hostname
    double.notify(view .. "/watch", { row = row })
  end
end

--- Nothing, and all of it.
---@param view string
function M.tell_nothing(view)
  double.list(nouns[view], {})
end

return M
