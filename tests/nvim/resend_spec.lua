-- A task as text: what is written is what is sent, byte for byte, and a mistake is where it was made.
local arguments = require("lazycelery.act.resend.arguments")
local compare = require("lazycelery.act.resend.compare")
local draft = require("lazycelery.act.resend.draft")
local expect = require("expect")
local plan = require("lazycelery.act.resend.plan")
local source = require("lazycelery.act.resend.source")

---@param json string
---@return lazycelery.TaskDraft
local function with(json)
  local values = { name = "a.b", args = json, kwargs = "{}", headers = "{}" }
  return { title = { "A title." }, values = values, remarks = { args = { "exact", "" } } }
end

-- JSON comes back as the very text that it was.
for _, json in ipairs({
  "[]",
  "[9007199254740993, 1.0, 1E2, -0, NaN]",
  '["é \\ud83d \\u0000", "a  "]',
  "[\n  1,\n\t2\n]",
  "[1,\n\n 2]",
  '["args: x", "# no remark", "name:"]',
  "[1,\r\n2]",
  '["' .. ("x"):rep(1000000) .. '"]',
}) do
  local values, mistakes = draft.parse(draft.render(with(json)))
  expect.equal(mistakes, {})
  expect.equal(values.args.text, json)
  expect.equal(values.name.text, "a.b")
  expect.equal(plan.params(values), {
    name = "a.b",
    headers_json = "{}",
    args_json = json,
    kwargs_json = "{}",
  })
end

-- As text of any shape, it is read as it looks.
local lines = {
  "",
  "name:   a.b  ",
  "countdown: 1.5",
  "priority: 3",
  "args: [1,",
  "# a remark within",
  "  2]",
  "",
  "kwargs:",
  "   ",
  "  {}  ",
}
local values, mistakes = draft.parse(lines)
expect.equal(mistakes, {})
expect.equal(plan.params(values), {
  name = "a.b",
  countdown = 1.5,
  priority = 3,
  args_json = "[1,\n  2]",
  kwargs_json = "{}",
})

-- Places: of the first line behind its name, of a later one behind a remark, in characters.
expect.equal({ draft.place(values.args, lines, 1, 1) }, { 4, 6 })
expect.equal({ draft.place(values.args, lines, 2, 3) }, { 6, 2 })
expect.equal({ draft.place(values.kwargs, lines, 1, 2) }, { 10, 3 })
local accents = { 'args: ["é́é", x]' }
local given = draft.parse(accents)
expect.equal({ draft.place(given.args, accents, 1, 9) }, { 0, accents[1]:find("x", 1, true) - 1 })

---@param text string[]
---@return { [1]: integer, [2]: integer, [3]: string }[]
local function wrong(text)
  local found, first = draft.parse(text)
  local _, others = plan.params(found)
  return vim.tbl_map(function(one)
    return { one.line, one.column, one.message }
  end, vim.list_extend(first, others))
end

local rest = { "args: []", "kwargs: {}" }
expect.equal(wrong(vim.list_extend({ "name: a", "queu: x" }, rest)), {
  {
    1,
    0,
    "no field `queu`; there are name, queue, priority, countdown, eta, headers, args, kwargs",
  },
})
expect.equal(
  wrong(vim.list_extend({ "name: a", "name: b" }, rest)),
  { { 1, 0, "`name` stands twice" } }
)
expect.equal(wrong(vim.list_extend({ "name:" }, rest)), { { 0, 0, "the task's name is wanted" } })
expect.equal(wrong(vim.list_extend({ "lost", "name: a" }, rest)), {
  { 0, 0, "a field is wanted before this: name, queue, …" },
})
expect.equal(wrong({ "name: a", "priority: high", "args:", "kwargs: {}" }), {
  { 1, 10, "`priority` is a number" },
  { 2, 0, "`args` is wanted: [] where there are none" },
})
expect.equal(#wrong({}), 3)

-- What the server says is put where it belongs.
---@param err table
---@return table?
local function placed(err)
  local found = plan.mistake(err, values, lines)
  return found and { found.line, found.column, found.message }
end
local data = { parameter = "args_json", line = 2, column = 3 }
expect.equal(
  placed({ message = "`args_json`: expected value at line 2, column 3", data = data }),
  { 6, 2, "expected value" }
)
expect.equal(
  placed({ message = "`priority` is 0 to 9, not 30" }),
  { 3, 10, "`priority` is 0 to 9, not 30" }
)
expect.equal(placed({ message = "unknown queue", data = { kind = "unknown_queue" } }), nil)
expect.equal(placed({ message = "the broker is gone", data = { kind = "broker" } }), nil)

-- A task whose arguments are not known exactly leaves them to be written.
local unknown = draft.render(source.of_task({
  uuid = "u",
  name = "a.b",
  args = "(42, 'e…",
  args_cut = true,
  priority = 5,
  message = { own_headers_json = '{"t": 1.50}' },
}))
local text = table.concat(unknown, "\n")
expect.yes(text:find("# Not known exactly", 1, true), text)
expect.yes(text:find("\n# (42, 'e…\n", 1, true), text)
expect.yes(text:find("\n# Not known: write them.\nkwargs:", 1, true), text)
expect.equal(
  vim.tbl_map(function(one)
    return one[3]
  end, wrong(unknown)),
  {
    "`args` is wanted: [] where there are none",
    "`kwargs` is wanted: {} where there are none",
  }
)
expect.equal(draft.parse(unknown).headers.text, '{"t": 1.50}')

-- What its text reads as is offered, and not taken for what it was.
local readable = { uuid = "u", name = "a.b", args = "(42,)", kwargs = "{}" }
text = table.concat(
  draft.render(source.of_task(readable, { args_json = "[42]", kwargs_json = "{}" })),
  "\n"
)
expect.yes(text:find("\n# %(42,%)\n# What that reads as [^\n]+\nargs:\n# %[42%]\n#"), text)
expect.equal(draft.parse(vim.split(text, "\n")).args.text, "")
local taken = text:gsub("\n# %[42%]", "\n[42]")
expect.equal(draft.parse(vim.split(taken, "\n")).args.text, "[42]")

-- N44: what a formatter did to a payload is seen.
expect.equal(compare.changes("[1, 2]", "[1, 2]"), "as it was")
expect.equal(compare.changes("[1, 2]", "[\n1,2 ]"), "the same but for blanks")
expect.equal(compare.changes('["a  b"]', '["a b"]'), "1 value changed")
expect.equal(
  compare.changes('{"b": 1, "a": 1.0}', '{"a": 1.0, "b": 1}'),
  "the same, in another order"
)
expect.equal(
  compare.changes("[9007199254740993, 1.0]", "[9007199254740992, 1.0]"),
  "1 value changed"
)
expect.equal(compare.changes("[1.0, 2.0]", "[1, 2]"), "2 values changed")
expect.equal(compare.changes("[1]", "[1, 2]"), "changed")
expect.equal(compare.changes('["\\""]', '["\\"", 1]'), "changed")
expect.equal({ compare.around('["é1"]', '["é2"]') }, { '["é1"]', '["é2"]' })
local long = ("é"):rep(5000)
local was, now = compare.around(long .. "é" .. long, long .. "è" .. long)
expect.yes(vim.startswith(was, "…é") and was:find("é") and #was < 200, was)
expect.yes(now:find("è", 1, true) and vim.str_utf_end(now, #now) == 0, now)

-- Arguments of a command line.
for _, case in ipairs({
  { "[1, 2]", "[1, 2]", nil },
  { ' {"x": [1]} ', nil, '{"x": [1]}' },
  { '["]", "\\"]["] {"x": {}}', '["]", "\\"]["]', '{"x": {}}' },
  { "[[1],{}]", "[[1],{}]", nil },
  { "[1,", "[1,", nil },
  { "[1] 2", "[1] 2", nil },
}) do
  local args, kwargs, mistake = arguments.split(case[1])
  expect.equal({ args, kwargs, mistake }, { case[2], case[3] }, case[1])
end
expect.yes(select(3, arguments.split("1")))
