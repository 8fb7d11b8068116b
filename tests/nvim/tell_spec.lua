-- A sentence asks for no key, however long it is, and none is lost.
local expect = require("expect")
local tell = require("lazycelery.tell")

expect.equal(tell.fit("short", 5), "short")
expect.equal(tell.fit("a longer sentence", 16), "a lon… :messages")

local long = vim.trim(("what a server said of it, "):rep(20)) .. ("x"):rep(300)
tell.of(long, vim.log.levels.ERROR)
tell.say("first\nsecond", vim.log.levels.WARN)
expect.equal(vim.api.nvim_get_mode().blocking, false, "no key is waited for")
local kept = vim.fn.execute("messages"):gsub("%s+", "")
for _, sentence in ipairs({ "lazycelery: " .. long, "first second" }) do
  expect.equal(kept:find((sentence:gsub(" ", "")), 1, true) ~= nil, true, kept)
end

-- Whoever shows messages otherwise is told the whole.
local told = {}
vim.notify = function(...) -- luacheck: ignore 122
  table.insert(told, { ... })
end
tell.of(long, vim.log.levels.ERROR)
expect.equal(told, { { "lazycelery: " .. long, vim.log.levels.ERROR } })
