--- `:w` in a buffer where a task is written: looked over by the server, mistakes marked at their place,
--- asked about, sent, and followed below. What was sent is known by its text: the same is not sent twice
--- by habit, and what may have been sent is looked up before it is sent again.
local ask = require("lazycelery.act.ask")
local client = require("lazycelery.client")
local draft = require("lazycelery.act.resend.draft")
local follow = require("lazycelery.act.resend.follow")
local label = require("lazycelery.act.resend.label")
local outcome = require("lazycelery.act.outcome")
local plan = require("lazycelery.act.resend.plan")
local send = require("lazycelery.act.resend.send")
local tell = require("lazycelery.tell")
local text = require("lazycelery.text")
local window = require("lazycelery.window")
local write = require("lazycelery.act.write")

local M = {}

--- Cells that a message leaves free, with what is put before it: one that fills the line waits for a key.
local SPARE_CELLS = 26

local diagnostics = vim.api.nvim_create_namespace("lazycelery.edit")
vim.diagnostic.config({ virtual_text = true, signs = false }, diagnostics)

--- Something that was sent, or may have been.
---@class lazycelery.Attempt
---@field uuid string
---@field text string
---@field at number
---@field unknown? string why it is not known whether it was

--- A buffer where a task is written. It stands for a view where a question is asked about it.
---@class lazycelery.Edit: lazycelery.Asker
---@field loaded boolean there is something to send
---@field was? table<string, string>
---@field sending? string uuid on its way
---@field turn integer counts what was looked over: the last one counts
---@field uuid? string of the text that was looked over last
---@field looked_at? string that text
---@field attempt? lazycelery.Attempt the last
---@field leave? lazycelery.Leave what is to be left once it is sent

---@param sentence string
---@param level? integer
local function say(sentence, level)
  tell.of(sentence, level)
end

---@param edit lazycelery.Edit
---@return string[]
local function lines_of(edit)
  return vim.api.nvim_buf_get_lines(edit.buf, 0, -1, false)
end

--- Marks what is wrong at its place.
---@param edit lazycelery.Edit
---@param mistakes lazycelery.Mistake[]
local function mark(edit, mistakes)
  if not vim.api.nvim_buf_is_loaded(edit.buf) then
    return
  end
  local found = vim.tbl_map(function(mistake)
    return {
      lnum = mistake.line,
      col = mistake.column,
      message = mistake.message,
      severity = vim.diagnostic.severity.ERROR,
      source = "lazycelery",
    }
  end, mistakes)
  vim.diagnostic.set(diagnostics, edit.buf, found)
  local first = mistakes[1]
  if first then
    local more = #mistakes > 1 and (" (1 of %d)"):format(#mistakes) or ""
    local sentence = ("not sent: line %d%s: %s"):format(first.line + 1, more, first.message)
    -- The whole of it stands at its place.
    say(text.cut(sentence, vim.o.columns - SPARE_CELLS), vim.log.levels.WARN)
  end
end

--- It was sent: its text is no change any more, and what became of it is shown.
---@param edit lazycelery.Edit
---@param attempt lazycelery.Attempt
local function sent(edit, attempt)
  edit.attempt = attempt
  if not vim.api.nvim_buf_is_loaded(edit.buf) then
    return
  end
  if table.concat(lines_of(edit), "\n") == attempt.text then
    vim.bo[edit.buf].modified = false
  end
  label.update(edit)
  local here = vim.api.nvim_get_current_buf() == edit.buf
  if here and edit.leave == "all" then
    return write.leave("all")
  elseif here and edit.leave then
    return window.back()
  elseif here then
    follow.show(edit.id.environment, attempt.uuid)
  end
end

---@param edit lazycelery.Edit
---@param attempt lazycelery.Attempt
---@param err lazycelery.Error?
---@param answer table?
local function over(edit, attempt, err, answer)
  edit.sending = nil
  if not err then
    sent(edit, attempt)
    return outcome.say(("Sent to %s as %s"):format(assert(answer).queue, attempt.uuid))
  elseif err.data and err.data.kind == "unsure" then
    attempt.unknown = err.message
    edit.attempt = attempt
    label.update(edit)
    local sentence = "%s. It is %s, if it was sent: :w looks for it first"
    return say(sentence:format(err.message, attempt.uuid), vim.log.levels.ERROR)
  end
  label.update(edit)
  say("not sent: " .. err.message, vim.log.levels.ERROR)
end

--- Whether it is on its way: what can be cancelled goes on. A lock that forbids it may have been asked
--- about by a picker that never answered.
---@param edit lazycelery.Edit
---@return boolean
local function is_sending(edit)
  return edit.sending ~= nil and edit.cancel ~= nil
end

--- Has what stands there looked over and asked about.
---@param edit lazycelery.Edit
---@param press lazycelery.Press
---@param lines string[]
---@param again? { remark: string, uuid: string }
local function propose(edit, press, lines, again)
  local values, mistakes = draft.parse(lines)
  local params, others = plan.params(values)
  vim.list_extend(mistakes, others)
  mark(edit, mistakes)
  if #mistakes > 0 then
    return
  end
  local whole = table.concat(lines, "\n")
  if again then
    params.uuid = again.uuid
  else
    params.uuid = edit.looked_at == whole and edit.uuid or send.uuid()
  end
  params.retry_of = edit.id.view == "edit" and edit.id.key or nil
  edit.uuid, edit.looked_at = params.uuid, whole
  edit.turn = edit.turn + 1
  local mine = edit.turn
  send.propose({
    view = edit,
    press = press,
    params = params,
    was = edit.was,
    remark = again and again.remark,
    refused = function(err)
      if edit.turn ~= mine then
        return
      end
      local mistake = plan.mistake(err, values, lines)
      if not mistake then
        return say("not sent: " .. err.message, vim.log.levels.ERROR)
      end
      mark(edit, { mistake })
    end,
    going = function()
      if edit.turn ~= mine or is_sending(edit) then
        return false
      end
      edit.sending = params.uuid
      label.update(edit)
      return true
    end,
    declined = function()
      edit.sending = nil
      label.update(edit)
    end,
    done = function(err, answer)
      over(edit, { uuid = params.uuid, text = whole, at = os.time() }, err, answer)
    end,
  })
end

--- What may have been sent is looked for; only what nobody knows is sent again, under the same id.
---@param edit lazycelery.Edit
---@param press lazycelery.Press
---@param lines string[]
local function look_up(edit, press, lines)
  local attempt = assert(edit.attempt)
  local asked = { environment = edit.id.environment, uuid = attempt.uuid }
  edit.cancel = client.request("task/get", asked, function(err)
    edit.cancel = nil
    if not err then
      attempt.unknown = nil
      sent(edit, attempt)
      return say(("it was sent, as %s"):format(attempt.uuid))
    elseif not (err.data and err.data.kind == "unknown_task") then
      return say(
        ("whether %s was sent is still not known: %s"):format(attempt.uuid, err.message),
        vim.log.levels.ERROR
      )
    end
    propose(edit, press, lines, {
      remark = "Perhaps it was sent already, under this id; nobody knows it now.",
      uuid = attempt.uuid,
    })
  end)
end

--- `:w` was typed, or `:wq`.
---@param edit lazycelery.Edit
---@param leave? lazycelery.Leave
function M.save(edit, leave)
  if not edit.loaded then
    return say("nothing is loaded, so there is nothing to send; :e loads it", vim.log.levels.WARN)
  elseif is_sending(edit) then
    return say(("it is being sent, as %s"):format(edit.sending))
  end
  local lines = lines_of(edit)
  local whole = table.concat(lines, "\n")
  local press = {
    name = "write",
    at = vim.uv.now(),
    lhs = ":w",
    bang = false,
    count = 0,
    register = "",
    first = 1,
    last = #lines,
    ids = { whole },
  }
  edit.leave = leave
  if ask.resume(edit, press) then
    return
  end
  local attempt = edit.attempt
  local same = attempt and attempt.text == whole
  if not attempt or (not same and not attempt.unknown) then
    return propose(edit, press, lines)
  elseif same and attempt.unknown then
    return look_up(edit, press, lines)
  end
  local remark = same and "Nothing was changed since it was sent as %s."
    or "What stood here before was perhaps sent, as %s."
  propose(edit, press, lines, { remark = remark:format(attempt.uuid), uuid = send.uuid() })
end

return M
