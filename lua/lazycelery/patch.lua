--- Makes a buffer show new lines, touching only those that changed, so that cursors, marks and
--- folds of the others stay. Knows nothing of Celery.
local M = {}

--- More places than this, and all between the first and the last is written at once.
local MANY = 400

local diff = vim.text and vim.text.diff or vim.diff

--- Where two lists begin and end to differ.
---@param old string[]
---@param new string[]
---@return integer first
---@return integer last_old
---@return integer last_new
local function differ(old, new)
  local first, last_old, last_new = 1, #old, #new
  while first <= last_old and first <= last_new and old[first] == new[first] do
    first = first + 1
  end
  while last_old >= first and last_new >= first and old[last_old] == new[last_new] do
    last_old = last_old - 1
    last_new = last_new - 1
  end
  return first, last_old, last_new
end

--- The ranges that differ, as vim.diff's indices: { old start, old count, new start, new count }.
---@param old string[]
---@param new string[]
---@return integer[][]
function M.hunks(old, new)
  local first, last_old, last_new = differ(old, new)
  local gone, come = last_old - first + 1, last_new - first + 1
  if gone == 0 and come == 0 then
    return {}
  elseif gone == 0 or come == 0 or (gone == 1 and come == 1) then
    return { { first, gone, first, come } }
  end
  local found = diff(
    table.concat(old, "\n", first, last_old) .. "\n",
    table.concat(new, "\n", first, last_new) .. "\n",
    { result_type = "indices" }
  ) --[[@as integer[][] ]]
  for _, hunk in ipairs(found) do
    -- With a count of 0, a start names the line before.
    hunk[1] = hunk[1] + first - 1 + (hunk[2] == 0 and 1 or 0)
    hunk[3] = hunk[3] + first - 1 + (hunk[4] == 0 and 1 or 0)
  end
  return found
end

--- The longest run of places that rise: what may stay where it is while the rest moves.
---@param places integer[]
---@return table<integer, true>? kept indices; nil for all of them
local function rising(places)
  local all = true
  for i = 2, #places do
    all = all and places[i - 1] < places[i]
  end
  if all then
    return nil
  end
  -- The index and the place at which a run of each length ends that can go on the furthest.
  local ends, least, longest, before = {}, {}, 0, {} ---@type integer[], integer[], integer, integer[]
  for i, place in ipairs(places) do
    local low, high = 1, longest
    if longest > 0 and least[longest] < place then
      low = longest + 1
    end
    while low <= high do
      local middle = math.floor((low + high) / 2)
      if least[middle] < place then
        low = middle + 1
      else
        high = middle - 1
      end
    end
    ends[low], least[low], before[i] = i, place, ends[low - 1] or 0
    longest = math.max(longest, low)
  end
  local kept, i = {}, ends[longest] or 0
  while i > 0 do
    kept[i] = true
    i = before[i]
  end
  return kept
end

--- As `hunks`, of ids that stand once in each list: which lines go, and which come, so that `old`
--- becomes `new` with as much as possible left alone.
---@param old string[]
---@param new string[]
---@param at table<string, integer> line of each id of `old`
---@return integer[][]
function M.moves(old, new, at)
  local first, last_old, last_new = differ(old, new)
  local gone, come = last_old - first + 1, last_new - first + 1
  if gone == 0 and come == 0 then
    return {}
  elseif gone == 0 or come == 0 then
    return { { first, gone, first, come } }
  end
  local places, lines, count = {}, {}, 0 ---@type integer[], integer[], integer
  for i = first, last_new do
    local found = at[new[i]]
    if found then
      count = count + 1
      places[count], lines[count] = found, i
    end
  end
  local kept, hunks = rising(places), {}
  local from, start = first, first
  for i, place in ipairs(places) do
    local line = lines[i] --[[@as integer]]
    if not kept or kept[i] then
      if place > from or line > start then
        hunks[#hunks + 1] = { from, place - from, start, line - start }
      end
      from, start = place + 1, line + 1
    end
  end
  if from <= last_old or start <= last_new then
    hunks[#hunks + 1] = { from, last_old - from + 1, start, last_new - start + 1 }
  end
  if #hunks > MANY then
    return { { first, gone, first, come } }
  end
  return hunks
end

--- Shows `new` where the buffer shows `old`.
---@param buf integer
---@param old string[]
---@param new string[]
---@return integer touched lines written or removed
function M.apply(buf, old, new)
  local hunks, touched = M.hunks(old, new), 0
  for i = #hunks, 1, -1 do
    local from, gone, start, come = unpack(hunks[i] --[[@as integer[] ]])
    ---@cast from integer
    ---@cast gone integer
    ---@cast start integer
    ---@cast come integer
    local lines = vim.list_slice(new, start, start + come - 1)
    vim.api.nvim_buf_set_lines(buf, from - 1, from - 1 + gone, false, lines)
    touched = touched + (gone > come and gone or come)
  end
  return touched
end

return M
