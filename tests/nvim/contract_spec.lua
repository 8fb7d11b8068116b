-- What other plugins may rely on (:help lazycelery-lua): what each function takes, gives, and bears.
local double = require("double")
local expect = require("expect")
local lazycelery = require("lazycelery")

local told = {} ---@type string[] what vim.notify was told
vim.notify = function(message) -- luacheck: ignore 122
  table.insert(told, message)
end

---@param text string
local function expect_told(text)
  expect.wait("to be told: " .. text, function()
    return vim.iter(told):any(function(message)
      return message:find(text, 1, true) ~= nil
    end)
  end)
  told = {}
end

local events = {} ---@type string[]
vim.api.nvim_create_autocmd("User", {
  pattern = { "LazyCeleryConnected", "LazyCeleryDisconnected" },
  callback = function(event)
    table.insert(events, ("%s %s"):format(event.match, event.data.environment))
  end,
})

-- Who only asks starts nothing.
expect.equal(lazycelery.row(), nil)
expect.equal(lazycelery.statusline(), "")
expect.equal(lazycelery.status(), { phase = "stopped", environments = {} })
expect.equal(double.starts, 0)
expect.equal(package.loaded["lazycelery.view"], nil)

-- open: a view, or a sentence and no buffer.
local before = #vim.api.nvim_list_bufs()
lazycelery.open("nonsense")
expect_told('no view "nonsense"')
lazycelery.open("task")
expect_told('the view "task" takes a key')
expect.equal(#vim.api.nvim_list_bufs(), before)

lazycelery.open("tasks", { filter = "state:failure", mods = { vertical = true } })
expect.wait("the view", function()
  return double.count("task/subscribe") == 1
end)
expect.equal(vim.api.nvim_buf_get_name(0), "lazycelery://prod:tasks?state:failure")
expect.equal(vim.fn.winnr("$"), 2)
lazycelery.open("queues", { environment = "staging" })
expect.equal(
  vim.api.nvim_buf_get_name(0),
  "lazycelery://staging:queues",
  "a named one needs no answer"
)
lazycelery.open("task", { key = "a/b?c", environment = "prod" })
expect.equal(vim.api.nvim_buf_get_name(0), "lazycelery://prod:task:a%2Fb%3Fc")
expect.equal(lazycelery.row(), { environment = "prod", noun = "task", key = "a/b?c" })

-- row: of what is under the cursor; without a key where that is no row.
vim.cmd.buffer("lazycelery://prod:tasks")
expect.equal(lazycelery.row(), { environment = "prod", noun = "task" })
local rows = double.tasks(2)
double.list("task", rows)
expect.wait("rows", function()
  return lazycelery.row().key == rows[1].uuid
end)
vim.api.nvim_win_set_cursor(0, { 2, 0 })
expect.equal(lazycelery.row().key, rows[2].uuid)

-- status: a copy, as last heard.
local status = lazycelery.status()
expect.equal({ status.phase, status.environments[1].name }, { "ready", "prod" })
status.environments[1].name = "mine"
expect.equal(assert(lazycelery.status().environments[1]).name, "prod")

-- statusline: a percent is doubled, as 'statusline' wants it.
local text = lazycelery.statusline()
expect.yes(text:find("^prod ●") and text:find("99.3 %%", 1, true), text)
local shown = vim.api.nvim_eval_statusline(text, { maxwidth = 200 }).str
expect.yes(shown:find("99.3 %  ↓", 1, true), shown)

-- request: called back once, later, with an answer or an error.
local answers, returned = {}, false
lazycelery.request("environment/list", nil, function(err, result)
  table.insert(answers, { returned, err, result.rows[1].name })
end)
returned = true
expect.wait("an answer", function()
  return #answers > 0
end)
expect.equal(answers, { { true, nil, "prod" } })

local failure ---@type lazycelery.Error?
lazycelery.request("no/such", {}, function(err)
  failure = err
end)
expect.wait("an error", function()
  return failure
end)
expect.equal({ assert(failure).code, assert(failure).message }, { -32601, "no method no/such" })

-- Cancelled, it is never called back, and the server is told.
double.held["environment/list"] = {}
local called = false
local cancel = lazycelery.request("environment/list", {}, function()
  called = true
end)
cancel()
cancel()
expect.equal(double.count("$/cancelRequest"), 1)
double.release("environment/list")

-- A callback that throws is told of, and harms nobody.
lazycelery.request("environment/list", {}, function()
  error("mine is broken")
end)
expect_told("the callback of environment/list")
expect.yes(not pcall(lazycelery.request, "environment/list", {}, nil))
expect.yes(not called, "a cancelled request was called back")

-- subscribe: subscribed, results; lost and back with the server; silent once stopped.
local heard = {} ---@type string[]
local stop = lazycelery.subscribe("worker/subscribe", { environment = "prod" }, function(event)
  table.insert(heard, (next(event)))
end)
expect.wait("a feed", function()
  return heard[1] == "subscribed"
end)
double.list("worker", { { hostname = "w", active = 1 } })
expect.wait("news", function()
  return heard[2] == "result"
end)
expect.equal(events, { "LazyCeleryConnected prod" })
double.die(139)
expect.wait("the loss", function()
  return heard[3] == "lost"
end)
expect.wait("its return", function()
  return heard[4] == "subscribed"
end)
expect.wait("the events", function()
  return #events == 3
end)
expect.equal(events[2], "LazyCeleryDisconnected prod")
expect.equal(events[3], "LazyCeleryConnected prod")

double.list("worker", { { hostname = "w", active = 2 } })
stop()
stop()
local seen = #heard
expect.equal(double.count("worker/unsubscribe"), 1)
-- Stopped before it has its number, it hears nothing, and the number is given back.
local early = lazycelery.subscribe("worker/subscribe", nil, function()
  table.insert(heard, "early")
end)
early()
expect.wait("the number to be given back", function()
  return double.count("worker/unsubscribe") == 2
end)
expect.equal(#heard, seen)

-- An autocommand of another's that throws does not keep the news from us.
vim.api.nvim_create_autocmd("User", {
  pattern = "LazyCeleryDisconnected",
  callback = function()
    error("theirs is broken")
  end,
})
double.tell_environment({ status = "disconnected" })
expect.wait("the news", function()
  return assert(lazycelery.status().environments[1]).status == "disconnected"
end)
expect.equal(events[4], "LazyCeleryDisconnected prod")
-- Neovim has told of it by itself.
vim.cmd("messages clear")
vim.v.errmsg = "" -- luacheck: ignore 122

-- Nothing else is public.
local public = vim.tbl_keys(lazycelery)
table.sort(public)
expect.equal(public, {
  "deactivate",
  "open",
  "request",
  "row",
  "setup",
  "status",
  "statusline",
  "subscribe",
})
