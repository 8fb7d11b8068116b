--- What a list shows next: the newest order, or, while it is held, the order on the screen. Pure.
---
--- On line 1 a list follows. Anywhere else it holds: the rows up to the cursor stay where they are,
--- those below keep their order, a row that left the window stays (dimmed by the caller), and only
--- what sorts after everything up to the cursor may come in, below it.
local M = {}

---@param shown string[] keys on the screen, in order
---@param keys string[] keys of the window, in order
---@param cursor integer line of the cursor; 1 follows
---@return string[] order keys to show
---@return integer waiting how many rows are kept out
function M.arrange(shown, keys, cursor)
  if cursor <= 1 or #shown == 0 then
    return keys, 0
  end
  local place, on_screen = {}, {}
  for i, key in ipairs(keys) do
    place[key] = i
  end
  local after = 0
  for i, key in ipairs(shown) do
    on_screen[key] = true
    if i <= cursor and place[key] then
      after = math.max(after, place[key])
    end
  end
  if after == 0 then
    after = #keys
  end
  local waiting, followers, anchor = 0, {}, shown[math.min(cursor, #shown)]
  for i, key in ipairs(keys) do
    if on_screen[key] then
      anchor = i > after and key or anchor
    elseif i > after then
      followers[anchor] = followers[anchor] or {}
      table.insert(followers[anchor], key)
    else
      waiting = waiting + 1
    end
  end
  local order, none = {}, {}
  for _, key in ipairs(shown) do
    order[#order + 1] = key
    for _, follower in ipairs(followers[key] or none) do
      order[#order + 1] = follower
    end
  end
  return order, waiting
end

return M
