--- Sending tasks again: what would be sent, and from which source, is shown before; arguments that are
--- only known as a text are sent on request alone, once they were seen.
local ask = require("lazycelery.act.ask")
local format = require("lazycelery.format")
local job = require("lazycelery.act.job")
local outcome = require("lazycelery.act.outcome")
local sources = require("lazycelery.source")
local subject = require("lazycelery.act.subject")
local text = require("lazycelery.text")

local M = {}

local METHOD = "task/retry"

--- Of many tasks, those whose arguments are shown as their texts read.
local READ_SHOWN = 20

--- What one that is sent again no longer has.
local ties = {
  expires = "its time of expiry",
  group = "its group, which has counted it already",
  chord = "its chord, which has counted it already",
  chain = "what follows it in its chain",
  callbacks = "its callbacks",
  errbacks = "its errbacks",
  unknown = "whatever followed it: its message was not seen",
}

---@class lazycelery.Resent
---@field from string
---@field uuid string
---@field name string
---@field queue string
---@field source string
---@field dropped string[]
---@field args_json? string
---@field kwargs_json? string

---@class lazycelery.RetryAnswer
---@field sent lazycelery.Resent[]
---@field refused? lazycelery.Refused[]
---@field warnings? lazycelery.Warning[]
---@field cancelled? boolean

--- What would be sent: as it is known exactly, and what could be read of the others.
---@class lazycelery.RetryPlan
---@field exact lazycelery.Resent[]
---@field read lazycelery.Resent[] from a text
---@field refused lazycelery.Refused[]
---@field warnings lazycelery.Warning[]
---@field names table<string, string>

---@param sent lazycelery.Resent[]
---@return string[]
local function ids(sent)
  return vim.tbl_map(function(one)
    return one.from
  end, sent)
end

---@param page lazycelery.Page
---@param one lazycelery.Resent
local function describe(page, one)
  page:field("queue", one.queue)
  local inexact = one.source == "repr"
  if one.args_json then
    page:field("args", one.args_json, "LazyCeleryString")
    page:field("kwargs", one.kwargs_json or "{}", "LazyCeleryString")
  else
    page:field("arguments", "too long to be shown here, or no JSON", "LazyCeleryDim")
  end
  page:field("source", sources.sendable(one.source), inexact and "LazyCeleryWarn" or nil)
  for i, tie in ipairs(one.dropped) do
    page:field(i == 1 and "without" or "", ties[tie] or tie, "LazyCeleryWarn")
  end
end

--- Many at once: how many of which name go where, how they are known, and what they lose.
---@param page lazycelery.Page
---@param sent lazycelery.Resent[]
local function summarise(page, sent)
  local counts, order = {}, {}
  local function count(words, group)
    if not counts[words] then
      counts[words] = 0
      order[#order + 1] = { words, group }
    end
    counts[words] = counts[words] + 1
  end
  for _, one in ipairs(sent) do
    count(("%s to %s"):format(one.name, one.queue), "LazyCeleryName")
  end
  for _, one in ipairs(sent) do
    count(sources.sendable(one.source), one.source == "repr" and "LazyCeleryWarn" or nil)
  end
  for _, one in ipairs(sent) do
    for _, tie in ipairs(one.dropped) do
      count("without " .. (ties[tie] or tie), "LazyCeleryWarn")
    end
  end
  for _, one in ipairs(order) do
    page:line({ { ("%7s  "):format(format.count(counts[one[1]])) }, one })
  end
end

--- What a line cannot say of what will be sent.
---@param plan lazycelery.RetryPlan
---@return lazycelery.Sheet
local function sheet(plan)
  local page = subject.page()
  local sendable = #plan.exact + #plan.read
  local all = sendable + #plan.refused
  if all == 1 then
    local one = plan.exact[1] or plan.read[1]
    page:head({ { subject.one(one.from, one.name), "LazyCeleryName" }, { ", to be sent again" } })
    describe(page, one)
  else
    page:head({
      { ("%s of %s can be sent again"):format(format.count(sendable), format.plural(all, "task")) },
    })
    summarise(page, vim.list_extend(vim.list_extend({}, plan.exact), plan.read))
    for i, one in ipairs(plan.read) do
      if i <= READ_SHOWN and one.args_json then
        local args = ("%s %s"):format(one.args_json, one.kwargs_json)
        page:field(subject.short(one.from), args, "LazyCeleryString")
      end
    end
  end
  subject.remarks(page, plan.warnings, "LazyCeleryWarn", all == 1)
  if #plan.refused > 0 then
    page:head({ { ("%s left alone"):format(format.plural(#plan.refused, "task")) } })
    subject.remarks(page, plan.refused, "LazyCeleryDim")
  end
  return subject.sheet(page)
end

--- Those that a job did not come to, which was stopped or lost the broker.
---@param uuids string[]
---@param result lazycelery.RetryAnswer
---@return string[]
local function unreached(uuids, result)
  local reached = {}
  for _, one in ipairs(result.sent) do
    reached[one.from] = true
  end
  for _, one in ipairs(result.refused or {}) do
    reached[one.uuid] = one.kind ~= "unreached"
  end
  return vim.tbl_filter(function(uuid)
    return not reached[uuid]
  end, uuids)
end

--- Each task that was sent, and what it became; each that was not, and why.
---@param view lazycelery.Asker
---@param result lazycelery.RetryAnswer
---@param asked integer
---@param names table<string, string>
---@param rest? string[] what was not reached, which can be asked for
local function list(view, result, asked, names, rest)
  local page = subject.page()
  for _, one in ipairs(result.sent) do
    page:head({
      { "sent  ", "LazyCeleryOk" },
      { subject.short(one.from), "LazyCeleryDim" },
      { " → " },
      { subject.short(one.uuid), "LazyCeleryKey" },
      { "  " .. one.name, "LazyCeleryName" },
      { "  " .. one.queue, "LazyCeleryDim" },
    }, { tasks = { one.uuid, one.from } })
  end
  outcome.left_alone(page, asked - #result.sent, result.refused or {}, names)
  outcome.list(view, page, rest and rest[1] and {
    key = "r",
    words = ("r sends the %s again that it did not come to"):format(format.count(#rest)),
    run = function(press)
      press.name, press.ids = "retry", rest
      if not ask.resume(view, press) then
        M.ask(view, press, { uuids = rest, names = names })
      end
    end,
  } or nil)
end

---@param result lazycelery.RetryAnswer
---@param asked integer
---@return string
local function sentence(result, asked)
  local sent, refused = result.sent, result.refused or {}
  if asked == 1 and sent[1] then
    local one = sent[1]
    local new = subject.one(one.uuid, one.name)
    return ("Sent again to %s, as %s"):format(one.queue, new)
  elseif asked == 1 and refused[1] then
    return "Not sent again: " .. refused[1].reason
  end
  local of = ("%s of %s sent again"):format(format.count(#sent), format.plural(asked, "task"))
  if result.cancelled then
    return ("Stopped: %s; the others were left alone"):format(of)
  elseif #refused > 0 then
    return ("%s; %s left alone"):format(of, format.count(#refused))
  end
  return format.plural(#sent, "task") .. " sent again"
end

---@param view lazycelery.Asker
---@param uuids string[]
---@param names table<string, string>
---@param how? { accept_inexact: boolean?, left: lazycelery.Refused[]? } and what is left alone, as was said
local function run(view, uuids, names, how)
  how = how or {}
  local title = ("Sending %s again"):format(subject.of(uuids, names))
  local params = { uuids = uuids, accept_inexact = how.accept_inexact }
  local options = { title = title, view = view }
  job.run(view.id.environment, METHOD, params, options, function(err, result)
    if err then
      return outcome.failed(err)
    end
    local rest = unreached(uuids, result)
    result.refused = vim.list_extend(result.refused or {}, how.left or {})
    local all = #uuids + #(how.left or {})
    outcome.say(sentence(result, all), #result.sent == 0 and vim.log.levels.WARN or nil)
    if all > 1 then
      list(view, result, all, names, rest)
    end
  end)
end

--- Nothing of it can be sent: says why.
---@param view lazycelery.Asker
---@param plan lazycelery.RetryPlan
local function nothing(view, plan)
  if #plan.refused == 1 then
    return outcome.say("Not sent again: " .. plan.refused[1].reason, vim.log.levels.WARN)
  end
  if #plan.refused == 0 then
    return outcome.say("No task matches any more", vim.log.levels.WARN)
  end
  local none = "None of %s can be sent again"
  outcome.say(none:format(format.plural(#plan.refused, "task")), vim.log.levels.WARN)
  list(view, { sent = {}, refused = plan.refused }, #plan.refused, plan.names)
end

---@param view lazycelery.Asker
---@param press lazycelery.Press
---@param plan lazycelery.RetryPlan
local function question(view, press, plan)
  local exact, read, names = ids(plan.exact), ids(plan.read), plan.names
  local all = #exact + #read + #plan.refused
  if #exact + #read == 0 then
    return nothing(view, plan)
  end
  local name, sendable = view.id.environment, #exact + #read
  local few = sendable < all and format.count(sendable) .. " of " or ""
  local asked = {
    press = press,
    prompt = ("Send %s again?"):format(
      all == 1 and "this task" or few .. format.plural(all, "task")
    ),
    preview = sheet(plan),
    more = {},
  }
  local function all_of_them()
    local both = vim.list_extend(vim.list_extend({}, exact), read)
    run(view, both, names, { accept_inexact = true, left = plan.refused })
  end
  if #exact == 0 then
    asked.yes = #read == 1
        and ("Yes, send %s again, as that text reads"):format(subject.of(read, names))
      or ("Yes, send %s again on %s, as their texts read"):format(subject.of(read, names), name)
    return ask.question(view, asked, all_of_them)
  elseif all == 1 then
    local queue = text.clean(plan.exact[1].queue)
    asked.yes = ("Yes, send %s again to %s"):format(subject.of(exact, names), queue)
  else
    local some = #exact < all and (" of " .. format.count(all)) or ""
    asked.yes = ("Yes, send %s%s tasks again on %s"):format(format.count(#exact), some, name)
  end
  if #read > 0 then
    local also = "Yes, %s: also %s as their texts read"
    local both = format.count(#exact + #read)
    table.insert(asked.more, { also:format(both, format.count(#read)), all_of_them })
  end
  ask.question(view, asked, function()
    local left = vim.tbl_map(function(uuid)
      return { uuid = uuid, kind = "inexact", reason = "its arguments are not known exactly" }
    end, read)
    run(view, exact, names, { left = vim.list_extend(left, plan.refused) })
  end)
end

--- Looks whether those whose arguments are not known exactly can be read from what people see of them.
---@param view lazycelery.Asker
---@param plan lazycelery.RetryPlan
---@param done fun()
local function read_inexact(view, plan, done)
  local inexact = vim.tbl_filter(function(one)
    return one.kind == "inexact"
  end, plan.refused)
  if #inexact == 0 then
    return done()
  end
  local params = {
    uuids = vim.tbl_map(function(one)
      return one.uuid
    end, inexact),
    accept_inexact = true,
  }
  local options = { title = "Reading their arguments", view = view }
  job.preview(view.id.environment, METHOD, params, options, function(result)
    plan.read = result.sent
    plan.refused = vim.tbl_filter(function(one)
      return one.kind ~= "inexact"
    end, plan.refused)
    vim.list_extend(plan.refused, result.refused or {})
    vim.list_extend(plan.warnings, result.warnings or {})
    done()
  end)
end

--- Shows what would be sent, asks, and sends it.
---@param view lazycelery.Asker
---@param press lazycelery.Press
---@param found lazycelery.Chosen
function M.ask(view, press, found)
  if press.bang and found.uuids then
    return run(view, found.uuids, found.names)
  end
  local params = { uuids = found.uuids, filter = found.filter }
  local options = { title = "Looking at what would be sent", view = view }
  job.preview(view.id.environment, METHOD, params, options, function(result)
    ---@cast result lazycelery.RetryAnswer
    local plan = {
      exact = result.sent,
      read = {},
      refused = result.refused or {},
      warnings = result.warnings or {},
      names = found.names,
    }
    read_inexact(view, plan, function()
      for _, sent in ipairs({ plan.exact, plan.read }) do
        for _, one in ipairs(sent) do
          plan.names[one.from] = one.name
        end
      end
      question(view, press, plan)
    end)
  end)
end

return M
