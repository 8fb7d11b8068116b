-- How long a server that went is waited for: longer each time, jittered, short again after a success.
local expect = require("expect")
local program = require("lazycelery.client.program")

local clock = 1000
vim.uv.now = function() -- luacheck: ignore 122
  return clock
end

program.count_start()
expect.equal(program.back_off(0), 125)
expect.equal(program.back_off(1), 500)
expect.equal(program.back_off(0.5), 750)
for _ = 1, 20 do
  program.back_off(1)
end
expect.equal(program.back_off(1), 10000, "it is tried again, however long it fails")
clock = clock + 10000
expect.equal(program.back_off(1), 250, "one that lived is a success")
program.count_start()
expect.equal(program.back_off(1), 500, "one that has not, is none")
local seen = {}
for _ = 1, 50 do
  program.forgive()
  seen[program.back_off()] = true
end
expect.yes(vim.tbl_count(seen) > 5, "two editors do not come at once")
