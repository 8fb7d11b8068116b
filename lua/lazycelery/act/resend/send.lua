--- One task on its way: looked over by the server, shown and asked about, sent, and known by an id of
--- ours from the first try, so that an outcome that did not arrive can be looked up.
local ask = require("lazycelery.act.ask")
local client = require("lazycelery.client")
local compare = require("lazycelery.act.resend.compare")
local detail = require("lazycelery.detail")
local guard = require("lazycelery.act.guard")
local job = require("lazycelery.act.job")
local running = require("lazycelery.act.running")

local M = {}

--- How long the server may look at the cluster first.
local LOOK_S = 30

--- What is to be sent.
---@class lazycelery.Proposal
---@field view lazycelery.Asker where it is asked
---@field press lazycelery.Press
---@field params table of `task/send`
---@field was? table<string, string> `args_json`, `kwargs_json`, `own_headers_json` of the other task
---@field remark? string why it is asked once more
---@field refused fun(err: lazycelery.Error) what is wrong with it
---@field going fun(): boolean it is sent now, if that is still wanted
---@field declined fun() it is not sent: a lock stays that forbids it
---@field done fun(err: lazycelery.Error?, sent: table?)

--- An id, as Celery makes them.
---@return string
function M.uuid()
  local random = assert(vim.uv.random(16))
  local text = ("%02x"):rep(16):format(random:byte(1, 16))
  local variant = ("%x"):format(8 + random:byte(9) % 4)
  local parts = "%1-%2-4%3-" .. variant .. "%4-"
  return (text:gsub("^(........)(....).(...).(...)", parts))
end

--- What a JSON text is, beside what it was.
---@param page lazycelery.Page
---@param name string
---@param was string?
---@param now string
local function json(page, name, was, now)
  if not was then
    return page:field(name, compare.beginning(now), "LazyCeleryString")
  elseif was == now then
    return page:field(name, "as it was   " .. compare.beginning(now), "LazyCeleryDim")
  end
  page:field(name, compare.changes(was, now), "LazyCeleryWarn")
  local before, after = compare.around(was, now)
  page:field("  was", before, "LazyCeleryDim")
  page:field("  now", after, "LazyCeleryString")
end

--- Everything about a task that is to be sent.
---@param proposal lazycelery.Proposal
---@param foreseen table what `task/send` would answer
---@return lazycelery.Sheet
local function sheet(proposal, foreseen)
  local params, was = proposal.params, proposal.was or {}
  local page = detail.page(vim.o.columns)
  page:head({ { params.name, "LazyCeleryName" }, { "  as " .. foreseen.uuid, "LazyCeleryDim" } })
  if proposal.remark then
    page:head({ { proposal.remark, "LazyCeleryWarn" } })
  end
  page:field("to", ("%s on %s"):format(foreseen.queue, proposal.view.id.environment))
  if params.retry_of then
    page:field("in place of", params.retry_of, "LazyCeleryDim")
  end
  for _, name in ipairs({ "priority", "countdown", "eta" }) do
    if params[name] then
      page:field(name, params[name] .. (name == "countdown" and " s" or ""))
    end
  end
  local headers, before = params.headers_json or "{}", was.own_headers_json
  if headers ~= "{}" or (before or headers) ~= headers then
    json(page, "headers", before, headers)
  end
  json(page, "args", was.args_json, params.args_json or "[]")
  json(page, "kwargs", was.kwargs_json, params.kwargs_json or "{}")
  if #(foreseen.dropped or {}) > 0 then
    local names = vim.tbl_map(function(name)
      return name == "unknown" and "what it was linked to: not known" or name
    end, foreseen.dropped)
    page:field("without", table.concat(names, ", "), "LazyCeleryWarn")
  end
  for _, warning in ipairs(foreseen.warnings or {}) do
    page:field("note", warning.text, "LazyCeleryWarn")
  end
  local picture = page:picture()
  return { lines = picture.lines, spans = picture.spans }
end

--- Sends it, without asking. Where it is not known whether it went out, the error is of kind `unknown`.
---@param proposal lazycelery.Proposal
local function go(proposal)
  if not proposal.going() then
    return
  end
  local view, params = proposal.view, proposal.params
  local options = { title = "Sending " .. params.name, view = view, declined = proposal.declined }
  job.run(view.id.environment, "task/send", params, options, proposal.done)
end

--- Has it looked over, then asks.
---@param proposal lazycelery.Proposal
function M.propose(proposal)
  local view, params = proposal.view, proposal.params
  local name = view.id.environment
  if guard.refused(name) then
    return
  end
  local cancel ---@type fun()
  local shown = running.new("Looking it over", view, function(self)
    cancel()
    self:finish()
    return "Given up; nothing was sent"
  end)
  local asked = vim.tbl_extend("force", params, { environment = name, dry_run = true })
  cancel = client.request("task/send", asked, function(err, foreseen)
    shown:finish()
    if err then
      return proposal.refused(err)
    end
    ask.question(view, {
      press = proposal.press,
      prompt = ("Send it %s?"):format(params.retry_of and "in its place" or "now"),
      yes = ("Yes, send %s to %s on %s"):format(params.name, foreseen.queue, name),
      preview = sheet(proposal, foreseen),
    }, function()
      go(proposal)
    end)
  end, LOOK_S)
end

return M
