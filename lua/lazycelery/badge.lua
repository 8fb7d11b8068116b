--- The right end of the column header: the environment and its health, or whatever is not normal.
local client = require("lazycelery.client")
local environment = require("lazycelery.environment")
local format = require("lazycelery.format")
local config = require("lazycelery.config")

local M = {}

local CUT_SHOWN_S = 60

--- `●` events flow, `◐` connected but no worker sends task events, `○` lost.
---@param name string
---@return string glyph
---@return string group
function M.glyph(name)
  local row, ascii = environment.get(name), config.options.ascii
  local phase = client.phase()
  if phase ~= "ready" or not row or row.status == "disconnected" then
    return ascii and "down" or "○", "LazyCeleryError"
  elseif row.status ~= "connected" then
    return ascii and "..." or "○", "LazyCeleryDim"
  elseif row.events == "off" then
    return ascii and "silent" or "◐", "LazyCeleryWarn"
  end
  return ascii and "up" or "●", "LazyCeleryOk"
end

--- Rows that came while the view stood still.
---@param view lazycelery.View
---@return integer
function M.news(view)
  if not view.frozen then
    return view.waiting
  elseif view.frozen == "typing" or not view.is_list or view.def.layout == "detail" then
    return view.waiting or 0
  end
  local shown, news = {}, 0
  for _, id in ipairs(view.shown) do
    shown[id] = true
  end
  for _, key in ipairs(view.keys) do
    news = news + (shown[key] and 0 or 1)
  end
  return news
end

---@param row lazycelery.EnvironmentRow
---@return string?
local function cut(row)
  local gap = row.missed and row.missed[#row.missed]
  if gap and not gap.refilled and environment.now(row.name) - gap.to < CUT_SHOWN_S then
    return ("events cut %s–%s"):format(
      os.date("%H:%M:%S", math.floor(gap.from)),
      os.date("%H:%M:%S", math.floor(gap.to))
    )
  end
end

--- What is wrong with the way here, if anything.
---@param view lazycelery.View
---@param row lazycelery.EnvironmentRow?
---@return string?
local function trouble(view, row)
  local phase = client.phase()
  if view.asleep and row then
    return (view.def.editing and ":e" or "R") .. " connects"
  elseif phase == "refused" or phase == "stopped" then
    return "no server"
  elseif phase ~= "ready" then
    return view.loaded and "server gone" or "starting"
  elseif row and row.status == "disconnected" then
    local retry = environment.retry_in(row.name)
    return retry and ("retry %d s"):format(math.ceil(retry)) or "not connected"
  elseif row and row.status == "connecting" then
    return "connecting"
  elseif view.error and view.loaded then
    return "stale"
  end
end

--- The badge, and what is left of it where that would stand above a title: the statusline names the
--- environment, too. That of production stays, and so does whatever is not normal.
---@param view lazycelery.View
---@return lazycelery.Chunk[]
---@return lazycelery.Chunk[]? briefer
---@return lazycelery.Chunk[]? briefest
local function health(view)
  local name = view.id.environment
  local row = environment.get(name)
  local glyph, group = M.glyph(name)
  if view.def.global then
    local wrong = trouble(view, nil)
    return wrong and { { wrong, "LazyCeleryError" } } or {}
  end
  local production = row and row.production
  local chunks = { { name, production and "LazyCeleryProduction" or nil }, { " " .. glyph, group } }
  local wrong = trouble(view, row)
  if wrong then
    table.insert(chunks, { " " .. wrong, group })
    return chunks, not production and { { glyph .. " " .. wrong, group } } or nil
  end
  local news = M.news(view)
  if news > 0 then
    return { { format.count(news) .. " new", "LazyCeleryWarn" } }
  elseif view.paused then
    return { { "paused", "LazyCeleryWarn" } }
  elseif view.exact == false and view.def.layout == "list" then
    return { { "sample ", "LazyCeleryWarn" }, unpack(chunks) }
  elseif row and row.status == "connected" and row.events == "off" and view.def.noun == "task" then
    return { { "no task events: ce", "LazyCeleryWarn" } }
  end
  local gap = row and cut(row)
  if gap then
    return { { gap, "LazyCeleryWarn" } }
  elseif production then
    return chunks
  end
  return chunks, { { glyph, group } }, group == "LazyCeleryOk" and {} or nil
end

--- Likewise, with Vim's own sign before it where the text is not written yet.
---@param view lazycelery.View
---@return lazycelery.Chunk[]
---@return lazycelery.Chunk[]? briefer
---@return lazycelery.Chunk[]? briefest
function M.chunks(view)
  local badges = { health(view) }
  if view.def.editing and vim.bo[view.buf].modified then
    for _, chunks in ipairs(badges) do
      table.insert(chunks, 1, { chunks[1] and "[+] " or "[+]", "LazyCeleryWarn" })
    end
  end
  return unpack(badges, 1, 3)
end

return M
