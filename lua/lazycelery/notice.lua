--- What stands in a view that has no rows: why, since when, and the next key to press.
local client = require("lazycelery.client")
local environment = require("lazycelery.environment")
local format = require("lazycelery.format")
local text = require("lazycelery.text")

local M = {}

local LOADING_MS = 200

--- What asks again: `R`, which in a list that can be edited is Vim's.
---@param view lazycelery.View
---@return string
local function key(view)
  return view.def.editing and ":e" or "R"
end

--- The server is not there.
---@param view lazycelery.View
---@return string[]?
local function server(view)
  local phase, reason = client.phase()
  reason = reason or "no reason known"
  if phase == "refused" then
    return {
      "The server is not running: " .. reason,
      "",
      key(view) .. " starts it again.  :checkhealth lazycelery",
    }
  elseif phase == "lost" or (view.lost and phase == "starting") then
    return { "The server is gone (" .. (view.lost or reason) .. "). Starting it again …" }
  end
end

--- The broker is not there.
---@param view lazycelery.View
---@param row lazycelery.EnvironmentRow?
---@return string[]?
local function broker(view, row)
  local name = view.id.environment
  if row and row.status == "disconnected" then
    local retry = environment.retry_in(name)
    local lines = {
      ("%s: no connection to %s"):format(name, row.url or row.transport or "the broker"),
      row.error or "",
      "",
    }
    -- What is wrong with the setting itself is not tried again by the clock.
    lines[#lines + 1] = retry and ("The next attempt is in %d s."):format(math.ceil(retry))
      or key(view) .. " tries again; lazycelery check says more."
    return lines
  elseif row and row.status == "connecting" and not view.loaded then
    return { ("%s: connecting to %s …"):format(name, row.url or "the broker"), row.error or "" }
  end
end

--- What to do about an answer that is none, by its kind.
local advices = {
  unknown_task = "It may be older than what the server keeps. - leads to the tasks.",
  unknown_worker = "It shows up here as soon as it is heard. - leads to the workers.",
  unknown_queue = "It shows up here as soon as it is there. - leads to the queues.",
  unknown_environment = "g4 shows the environments, gb chooses one.",
  filter = "i changes the filter, I clears it.",
}

---@param view lazycelery.View
---@return string[]?
local function fault(view)
  if not view.error then
    return nil
  end
  local advice = advices[view.error.data and view.error.data.kind] or key(view) .. " asks again."
  return { view.error.message, "", advice }
end

--- Nothing matches, or there is nothing.
---@param view lazycelery.View
---@param row lazycelery.EnvironmentRow?
---@return string[]
local function empty(view, row)
  if view.filter and view.filter ~= "" then
    local lines = { ("No %s matches  %s"):format(view.def.noun, view.filter), "" }
    for _, hint in ipairs(view.hints or {}) do
      table.insert(lines, hint.text)
    end
    table.insert(lines, "I clears the filter, i changes it.")
    return lines
  end
  return view.def.empty and view.def.empty(row, view.id) or { "Nothing here." }
end

--- Why there is nothing to see.
---@param view lazycelery.View
---@return string[]
function M.lines(view)
  local row = environment.get(view.id.environment)
  if view.asleep and row then
    return {
      ("Restored from a session: %s is production. %s connects."):format(row.name, key(view)),
    }
  end
  local lines = server(view) or broker(view, row) or fault(view)
  if lines then
    return lines
  elseif view.loaded then
    return empty(view, row)
  elseif vim.uv.now() - view.since < LOADING_MS then
    return { "" }
  end
  local waited = (vim.uv.now() - view.since) / 1000
  return { ("Loading … %s"):format(waited >= 2 and format.duration(waited) or ""), "" }
end

---@param view lazycelery.View
---@return lazycelery.Picture
function M.picture(view)
  local picture = { ids = {}, lines = {}, spans = {}, is_list = false }
  for number, sentence in ipairs(M.lines(view)) do
    local group = number == 1 and "LazyCeleryTitle" or "LazyCeleryDim"
    for _, line in ipairs(text.wrap(text.clean(sentence), (view.width or vim.o.columns) - 2)) do
      line = line == "" and "" or " " .. line
      local i = #picture.lines + 1
      picture.ids[i], picture.lines[i] = "notice:" .. i, line
      picture.spans[i] = { { 0, #line, group } }
    end
  end
  return picture
end

return M
