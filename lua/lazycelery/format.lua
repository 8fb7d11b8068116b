--- Numbers and times as people read them. Pure; times are Unix seconds, durations seconds.
local M = {}

--- `48210` → `48,210`.
---@param number number
---@return string
function M.count(number)
  local digits = ("%.0f"):format(number)
  local sign, rest = digits:match("^(%-?)(%d+)$")
  if not rest then
    return digits
  end
  rest = rest:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return sign .. rest
end

--- How long something took: `18 ms`, `8.2 s`, `4m12s`, `3h04m`, `3d04h`.
---@param seconds number
---@return string
function M.duration(seconds)
  if seconds < 0 then
    return "-" .. M.duration(-seconds)
  elseif seconds < 0.9995 then
    local ms = seconds * 1000
    return (ms < 0.95 and "%.1f ms" or "%.0f ms"):format(ms)
  elseif seconds < 59.95 then
    return ("%.1f s"):format(seconds)
  elseif seconds < 3600 then
    return ("%dm%02ds"):format(seconds / 60, seconds % 60)
  elseif seconds < 86400 then
    return ("%dh%02dm"):format(seconds / 3600, seconds % 3600 / 60)
  end
  return ("%dd%02dh"):format(seconds / 86400, seconds % 86400 / 3600)
end

--- How long ago, in whole units: `9s`, `4m`, `3h`, `2d`.
---@param seconds number
---@return string
function M.age(seconds)
  seconds = math.max(0, seconds)
  if seconds < 60 then
    return ("%ds"):format(seconds)
  elseif seconds < 3600 then
    return ("%dm"):format(seconds / 60)
  elseif seconds < 86400 then
    return ("%dh"):format(seconds / 3600)
  end
  return ("%dd"):format(seconds / 86400)
end

--- How long something has been running, in units that do not flicker: `9s`, `4m12s`, `3d04h`.
---@param seconds number
---@return string
function M.uptime(seconds)
  return seconds < 60 and M.age(seconds) or M.duration(seconds)
end

--- A moment in local time: `12:04:31`, and the date where it is another day than `now`'s.
---@param at number
---@param now number
---@return string
function M.clock(at, now)
  local moment = math.floor(at)
  if os.date("%Y%j", moment) == os.date("%Y%j", math.floor(now)) then
    return os.date("%H:%M:%S", moment) --[[@as string]]
  elseif os.date("%Y", moment) == os.date("%Y", math.floor(now)) then
    return os.date("%d %b", moment) --[[@as string]]
  end
  return os.date("%Y-%m", moment) --[[@as string]]
end

--- A moment to the millisecond, with its date: `2026-11-24 12:04:31.950`.
---@param at number
---@return string
function M.moment(at)
  local ms = math.floor(at * 1000 + 0.5)
  return os.date("%Y-%m-%d %H:%M:%S", math.floor(ms / 1000)) .. (".%03d"):format(ms % 1000)
end

--- `212M`, `1.4G`.
---@param bytes number
---@return string
function M.bytes(bytes)
  local units = { "B", "K", "M", "G", "T" }
  local unit = 1
  while bytes >= 1023.5 and unit < #units do
    bytes = bytes / 1024
    unit = unit + 1
  end
  return (bytes < 9.95 and unit > 1 and "%.1f%s" or "%.0f%s"):format(bytes, units[unit])
end

--- A rate a second: `0`, `0.1`, `82.0`, `1,204`.
---@param rate number
---@return string
function M.rate(rate)
  if rate == 0 then
    return "0"
  elseif math.abs(rate) < 999.95 then
    return ("%.1f"):format(rate)
  end
  return M.count(rate)
end

--- A share of one: `0.3 %`, `99.2 %`, `100 %`.
---@param share number
---@return string
function M.percent(share)
  local percent = share * 100
  if percent == math.floor(percent) then
    return ("%d %%"):format(percent)
  end
  return ("%.1f %%"):format(percent)
end

local plain = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local digits = { "1", "2", "3", "4", "5", "6", "7", "8" }

--- One cell a value, the highest of `values` (or `top`) at full height.
---@param values number[]
---@param ascii boolean
---@param top? number
---@return string
function M.spark(values, ascii, top)
  local glyphs = ascii and digits or plain
  for _, value in ipairs(values) do
    top = math.max(top or 0, value)
  end
  local cells = {}
  for i, value in ipairs(values) do
    local share = top and top > 0 and value / top or 0
    cells[i] = glyphs[math.max(1, math.min(8, math.ceil(share * 8)))]
  end
  return table.concat(cells)
end

--- A bar of `cells`, `share` of it full.
---@param share number
---@param cells integer
---@param ascii boolean
---@return string
function M.bar(share, cells, ascii)
  local full = math.floor(math.max(0, math.min(1, share)) * cells + 0.5)
  return (ascii and "#" or "▓"):rep(full) .. (ascii and "." or "░"):rep(cells - full)
end

--- `1 worker`, `3 workers`.
---@param number integer
---@param noun string
---@return string
function M.plural(number, noun)
  return M.count(number) .. " " .. noun .. (number == 1 and "" or "s")
end

return M
