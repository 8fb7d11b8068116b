-- Names of views, there and back.
local expect = require("expect")
local name = require("lazycelery.name")

local ids = {
  { environment = "prod", view = "tasks" },
  {
    environment = "prod",
    view = "tasks",
    filter = "state:failure name:shop.* !id:5f2c /time.?out/i",
  },
  { environment = "prod", view = "task", key = "5f2c9e10-3b7e-4d1c-9a55-0f6f3e2d1c77" },
  {
    environment = "a:/b ?|%",
    view = "messages",
    key = "dead:/letter?x=[ab]*|quit",
    filter = 'args:"42"',
  },
  { environment = "größe", view = "worker", key = "celery@web-1" },
}
for _, id in ipairs(ids) do
  expect.equal(name.parse(name.format(id)), id)
end
-- N56: all that tells one from another stands behind the last slash, which is what tabs show.
for _, id in ipairs(ids) do
  expect.yes(name.format(id):find("^lazycelery://[^/]+$"), name.format(id))
end
expect.equal(name.format(ids[1]), "lazycelery://prod:tasks")
-- N14: nothing in a name reads as a pattern of files.
expect.yes(not name.format(ids[4]):find("[%[%]%*|]"), "a pattern in " .. name.format(ids[4]))
expect.equal(name.parse("/etc/passwd"), nil)
expect.equal(name.parse("lazycelery://"), nil)
expect.equal(name.parse("lazycelery://prod"), nil)
