-- The one opener of paths from a broker.
local config = require("lazycelery.config")
local expect = require("expect")
local frame = require("lazycelery.frame")

local folder = vim.fn.tempname()
vim.fn.mkdir(folder .. "/app/lib/python3.11/site-packages", "p")
local function touch(name)
  vim.fn.writefile({ "line 1", "line 2" }, folder .. "/" .. name)
  return folder .. "/" .. name
end
local own = touch("app/tasks.py")
local foreign = touch("app/lib/python3.11/site-packages/kombu.py")

config.set({ path_map = { ["/srv/app"] = folder .. "/app", ["/srv"] = "/nowhere" } })

expect.equal(frame.resolve(own), own)
expect.equal(frame.resolve("/srv/app/tasks.py"), own, "the longest prefix wins")
expect.equal(frame.resolve("/srv/application/tasks.py"), nil, "a prefix ends at a slash")
for _, hostile in ipairs({
  "term://touch$IFS" .. folder .. "/pwned",
  "lazycelery://prod:tasks",
  "http://example.org/x.py",
  "/srv/app/term://x",
  "/dev/tty",
  folder .. "/app",
  folder .. "/missing.py",
  "",
  "a\nb",
  42,
}) do
  local path, reason = frame.resolve(hostile)
  expect.equal(path, nil, tostring(hostile))
  expect.yes(reason)
end

local entries, left_out = frame.entries({
  frames = {
    { file = "/srv/app/tasks.py", line = 88, ["function"] = "charge", code = "pay()" },
    { file = foreign, line = 2, ["function"] = "get" },
    { file = "term://touch$IFS/x", line = 1, ["function"] = "evil" },
  },
})
expect.equal(left_out, 1)
expect.equal(
  { entries[1].filename, entries[1].lnum, entries[1].text, entries[2].filename, #entries },
  { own, 88, "in charge: pay()", foreign, 2 },
  "own code first"
)
