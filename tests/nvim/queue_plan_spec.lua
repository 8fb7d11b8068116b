-- What the lines of queues' buffers ask for, and what they can not.
local expect = require("expect")
local ids = require("lazycelery.act.messages.ids")
local plan = require("lazycelery.act.messages.plan")

local reading = { environment = "prod", read = ids.read, get = ids.get }

--- Messages `count` of a queue, each with its line.
---@param queue string
---@param count integer
---@param environment? string
---@return lazycelery.Message[]
local function messages(queue, count, environment)
  local made = {}
  for i = 1, count do
    local row = { key = ("tag-%d"):format(i), uuid = ("uuid-%s-%d"):format(queue, i) }
    row.delivery_tag = row.key
    made[i] = ids.of(environment or "prod", queue, row)
    ids.write(made[i], (" %d of %s"):format(i, queue), {})
  end
  return made
end

---@param list lazycelery.Message[]
---@return string[]
local function lines(list)
  return vim.tbl_map(function(message)
    return message.line
  end, list)
end

---@param list lazycelery.Message[]
---@return string[]
local function names(list)
  return vim.tbl_map(function(message)
    return message.id
  end, list)
end

---@param queue string
---@param waiting lazycelery.Message[]
---@param shown? string[]
---@return lazycelery.QueuePage
local function page(queue, waiting, shown)
  return { queue = queue, base = names(waiting), lines = shown or lines(waiting) }
end

---@param of lazycelery.QueuePage
---@return boolean
local function differs(of)
  return plan.differs(of.base, plan.judge(of.lines, reading), reading)
end

--- Steps in short: `delete celery 2`.
---@param made lazycelery.QueuePlan
---@return string[]
local function steps(made)
  return vim.tbl_map(function(step)
    local to = step.to and " → " .. step.to or ""
    local from = step.saved_as and " from " .. step.saved_as or ""
    return ("%s %s%s %d%s"):format(step.kind, step.queue, to, #step.messages, from)
  end, made.steps)
end

---@param made lazycelery.QueuePlan
---@param found string[] `line: what it must say`
local function objects(made, found)
  expect.equal(made.steps, {}, "nothing is carried out")
  expect.equal(#made.objections, #found, vim.inspect(made.objections))
  for i, wanted in ipairs(found) do
    local objection = made.objections[i]
    local line, said = wanted:match("^(%d+): (.*)$")
    expect.equal(objection.line, tonumber(line), objection.text)
    expect.yes(objection.text:find(said, 1, true), objection.text)
  end
end

-- What is concealed is as long in every line.
for _, message in ipairs(messages("long", 20)) do
  expect.equal(ids.mark(message.line), ids.CELLS)
end

-- Nothing changed: nothing to do.
do
  local celery = messages("celery", 3)
  local made = plan.make({ page("celery", celery) }, reading)
  expect.equal(steps(made), {})
  expect.equal({ made.kept, made.gone, #made.objections }, { 3, 0, 0 })
  expect.equal(made.reordered, {})
end

-- Deleted here and put there is one move; only deleted is a deletion; blank lines say nothing.
do
  local celery, high = messages("celery", 4), messages("high", 1)
  local made = plan.make({
    page("celery", celery, { celery[1].line, "" }),
    page("high", high, { "", high[1].line, celery[3].line, "  " }),
  }, reading)
  expect.equal(steps(made), { "move celery → high 1", "delete celery 2" })
  expect.equal(made.steps[2].messages[1], celery[2])
  expect.equal(made.kept, 2)
end

-- Every line gone is said.
do
  local celery = messages("celery", 2)
  local made = plan.make({ page("celery", celery, { "" }) }, reading)
  expect.equal({ steps(made), made.emptied[1].queue }, { { "delete celery 2" }, "celery" })
end

-- What may be gone is counted, where something is to be done about it.
do
  local celery = messages("celery", 3)
  local one = page("celery", celery, { celery[2].line, celery[3].line })
  one.away = { [celery[1].id] = true, [celery[2].id] = true }
  expect.equal(plan.make({ one }, reading).away, 1)
end

-- The order of lines moves nothing.
do
  local celery = messages("celery", 3)
  local swapped = { celery[2].line, celery[1].line, celery[3].line }
  local made = plan.make({ page("celery", celery, swapped) }, reading)
  expect.equal({ steps(made), made.reordered }, { {}, { "celery" } })
end

-- N21: what is not a line of ours, as Vim makes them by accident.
do
  local celery = messages("celery", 3)
  local first, second, third = celery[1].line, celery[2].line, celery[3].line
  local cases = {
    ["0x"] = { { first:sub(2), second, third }, { "1: no message" } },
    [">>"] = { { "\t" .. first, second, third }, { "1: no message" } },
    ["J"] = { { first .. second, third }, { "1: edited" } },
    ["typed"] = { { first, "hello", second, third }, { "2: no message" } },
    ["edited"] = { { first, second .. "x", third }, { "2: edited" } },
    ["cut off"] = { { first, second:sub(1, -2), third }, { "2: edited" } },
    ["yyp"] = { { first, first, second, third }, { "2: celery, line 1" } },
    ["another session's"] = {
      { first, second, third, "/abcd.000001.000000 1 of celery" },
      { "4: not known here" },
    },
  }
  for what, case in vim.spairs(cases) do
    local ok, err = pcall(objects, plan.make({ page("celery", celery, case[1]) }, reading), case[2])
    expect.yes(ok, what .. ": " .. tostring(err))
    expect.yes(differs(page("celery", celery, case[1])), what)
  end
end

-- A message can be moved, not copied; the line at home is the one that counts.
do
  local celery, high = messages("celery", 2), messages("high", 1)
  local copied = { celery[1].line, high[1].line }
  objects(plan.make({ page("high", high, copied), page("celery", celery) }, reading), {
    "1: also in celery, line 1",
  })
  -- Its buffer is closed: nothing says that it left.
  objects(plan.make({ page("high", high, copied) }, reading), { "1: not deleted in celery" })
end

-- What was moved, and stands again where it was: `u` in one of the two buffers is enough.
do
  local celery, high = messages("celery", 2), messages("high", 1)
  local moved = celery[1]
  ids.took(moved, "/m.jsonl", "high")
  ids.put(moved, "high")
  local there = { high[1], moved }
  local back =
    plan.make({ page("celery", { celery[2] }, lines(celery)), page("high", there) }, reading)
  expect.equal({ steps(back), back.objections }, { { "restore celery 1 from /m.jsonl" }, {} })
  -- Taken away by `u` where it was moved to; deleted there it is deleted.
  for undone, step in pairs({ [true] = "restore celery 1 from /m.jsonl", [false] = "delete high 1" }) do
    local left = page("high", there, { high[1].line })
    left.undone = { [moved.id] = undone or nil }
    expect.equal(steps(plan.make({ page("celery", { celery[2] }), left }, reading)), { step })
  end
  -- A third line of it is a copy, and so is one in another queue.
  local three = { celery[2].line, moved.line, moved.line }
  local made = plan.make({ page("celery", { celery[2] }, three), page("high", there) }, reading)
  expect.equal(#made.objections, 2)
  made = plan.make({ page("low", {}, { moved.line }), page("high", there) }, reading)
  expect.equal(#made.objections, 1)
end

-- Of another environment.
do
  local theirs, ours = messages("celery", 1, "staging"), messages("celery", 1)
  objects(plan.make({ page("celery", ours, { ours[1].line, theirs[1].line }) }, reading), {
    "2: a message of staging",
  })
end

-- What we deleted comes back out of its file; into another queue, too (N40).
do
  local celery, high = messages("celery", 3), messages("high", 1)
  ids.took(celery[1], "/a.jsonl")
  ids.took(celery[2], "/b.jsonl")
  local left = { celery[3] }
  local made = plan.make({
    page("celery", left, lines(celery)),
    page("high", high),
  }, reading)
  -- What stood deeper first: so each stands where it stood.
  expect.equal(steps(made), { "restore celery 1 from /b.jsonl", "restore celery 1 from /a.jsonl" })
  made = plan.make({
    page("celery", left),
    page("high", high, { high[1].line, celery[2].line }),
  }, reading)
  expect.equal(steps(made), { "restore celery → high 1 from /b.jsonl" })
end

-- A move is taken back out of its file, and goes on like any other.
do
  local celery, high = messages("celery", 2), messages("high", 1)
  ids.took(celery[1], "/a.jsonl")
  ids.put(celery[1], "high")
  local moved = { high[1], celery[1] }
  local made = plan.make({
    page("celery", { celery[2] }, lines(celery)),
    page("high", moved, { high[1].line }),
  }, reading)
  expect.equal(steps(made), { "restore celery 1 from /a.jsonl" })
  made = plan.make({
    page("celery", { celery[2] }, lines(celery)),
    page("high", moved),
  }, reading)
  expect.equal(#made.objections, 1, "undone on one side only")
  made = plan.make(
    { page("high", moved, { high[1].line }), page("low", {}, { celery[1].line }) },
    reading
  )
  expect.equal(steps(made), { "move high → low 1" })
end

-- What somebody else took can neither be moved nor deleted, and is in nobody's way.
do
  local celery, high = messages("celery", 3), messages("high", 1)
  ids.lost(celery[1])
  ids.lost(celery[2])
  local made = plan.make({
    page("celery", celery, { celery[3].line }),
    page("high", high, { high[1].line, celery[2].line }),
  }, reading)
  expect.equal({ steps(made), made.gone, made.kept }, { {}, 2, 2 })
  expect.yes(not differs(page("celery", celery, { celery[3].line })))
  expect.yes(not differs(page("high", high, { high[1].line, celery[2].line })))
end

-- Put back, it goes by the name it had.
do
  local message = messages("celery", 1)[1]
  local key = message.row.key
  ids.took(message, "/a.jsonl")
  ids.put(message, "near")
  ids.of("prod", "near", { key = "new", delivery_tag = "new", uuid = message.row.uuid })
  expect.equal(ids.name(message), "new")
  ids.put_back(message)
  expect.equal({ ids.name(message), message.queue }, { key, "celery" })
  expect.equal(ids.of("prod", "celery", message.row), message)
end

-- It may be read where it is put before the answer tells that it is there.
do
  local message = messages("celery", 1)[1]
  local there = ids.of("prod", "soon", { key = "k", delivery_tag = "k", uuid = message.row.uuid })
  expect.yes(there ~= message)
  ids.took(message, "/a.jsonl")
  ids.put(message, "soon")
  expect.equal(
    ids.of("prod", "soon", { key = "k", delivery_tag = "k", uuid = message.row.uuid }),
    message
  )
  expect.equal(ids.name(message), "k")
end

-- A key that is made anew where a message is put is learned by its uuid.
do
  local message = messages("celery", 1)[1]
  ids.took(message, "/a.jsonl")
  ids.put(message, "far")
  local there = { key = "new-tag", delivery_tag = "new-tag", uuid = message.row.uuid }
  expect.equal(ids.of("prod", "far", there), message)
  expect.equal(ids.of("prod", "far", there), message, "and kept")
  local other = { key = "third", delivery_tag = "third", uuid = message.row.uuid }
  expect.yes(ids.of("prod", "far", other) ~= message, "one more of that uuid is another")
end

-- Whatever is done to lines: each message is in exactly one place, or a line is objected to.
math.randomseed(11)
for round = 1, 1500 do
  local queues = { "a", "b", "c" }
  local pages, all = {}, {}
  for _, queue in ipairs(queues) do
    local waiting = messages(queue .. round, math.random(0, 6))
    vim.list_extend(all, waiting)
    table.insert(pages, page(queue .. round, waiting))
  end
  -- Deleted before, by us or by somebody else.
  for _, message in ipairs(all) do
    local fate = math.random(12)
    if fate <= 2 then
      for _, one in ipairs(pages) do
        one.base = vim.tbl_filter(function(id)
          return id ~= message.id
        end, one.base)
        one.lines = vim.tbl_filter(function(line)
          return line ~= message.line
        end, one.lines)
      end
      if fate == 1 then
        ids.took(message, "/file" .. math.random(2))
      else
        ids.lost(message)
      end
    end
  end
  local register = {}
  for _ = 1, math.random(0, 8) do
    local one = pages[math.random(#pages)]
    local what = math.random(5)
    if what <= 2 and #one.lines > 0 then
      table.insert(register, table.remove(one.lines, math.random(#one.lines)))
    elseif what == 3 and #register > 0 then
      table.insert(one.lines, math.random(#one.lines + 1), table.remove(register))
    elseif what == 4 and #all > 0 then
      table.insert(one.lines, all[math.random(#all)].line)
    elseif what == 5 then
      table.insert(one.lines, "")
    end
  end
  local made = plan.make(pages, reading)
  local told, count = {}, 0
  for _, step in ipairs(made.steps) do
    expect.yes(#step.messages > 0, "a step is about something")
    for _, message in ipairs(step.messages) do
      expect.yes(not told[message.id], "in one step only")
      told[message.id] = true
      count = count + 1
      local there = {}
      for _, one in ipairs(pages) do
        for _, line in ipairs(one.lines) do
          if line == message.line then
            table.insert(there, one.queue)
          end
        end
      end
      local goal = step.to or (step.kind == "restore" and step.queue) or nil
      expect.equal(there, { goal }, step.kind)
    end
  end
  local known = {}
  for _, one in ipairs(pages) do
    for _, id in ipairs(one.base) do
      known[id] = true
    end
    for _, line in ipairs(one.lines) do
      known[ids.read(line) or ""] = true
    end
  end
  known[""] = nil
  if #made.objections == 0 then
    expect.equal(made.kept + made.gone + count, vim.tbl_count(known), "each in one place")
    for _, one in ipairs(pages) do
      local changed = differs(one)
      expect.yes(changed or count == 0 or #made.steps > 0)
    end
  end
  local differ = vim.tbl_contains(pages, function(one)
    return differs(one)
  end, { predicate = true })
  expect.equal(differ, #made.steps > 0 or #made.objections > 0, "modified is what would be written")
end
