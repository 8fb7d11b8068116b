--- Makes a buffer show new lines, touching only those that changed, so that cursors, marks and
--- folds of the others stay. Knows nothing of Celery.
local M = {}

--- More places than this, and all between the first and the last is written at once.
local MANY = 400

--- An id that moves alone is a run, and parts another in two where it stood.
local MANY_RUNS = 2 * MANY + 1

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

---@class lazycelery.Run lines that stand one after the other in both lists
---@field start integer its first line in the new list
---@field place integer its first line in the old list
---@field count integer
---@field weight integer lines of the heaviest chain that ends with it
---@field before? lazycelery.Run the one before it in that chain

--- What two lists have in common, in the order of the new one.
---@param new string[]
---@param first integer
---@param last integer
---@param at table<string, integer> line of each id of the old list
---@return lazycelery.Run[]? runs nil where they are too many
local function in_common(new, first, last, at)
  local runs, run = {}, nil ---@type lazycelery.Run[], lazycelery.Run?
  for line = first, last do
    local place = at[new[line]]
    if run and place == run.place + run.count then
      run.count = run.count + 1
    elseif place then
      run = { start = line, place = place, count = 1, weight = 1 }
      runs[#runs + 1] = run
      if #runs > MANY_RUNS then
        return nil
      end
    else
      run = nil
    end
  end
  return runs
end

--- The heaviest chain of runs that rise in the old list: what may stay where it is while the rest
--- moves.
---@param runs lazycelery.Run[]
---@return lazycelery.Run[]
local function rising(runs)
  -- Of chains, the last runs, by place: one that is further on is worth it only if it is heavier.
  local ends = {} ---@type lazycelery.Run[]
  for _, run in ipairs(runs) do
    local low, high = 0, #ends
    while low < high do
      local middle = math.ceil((low + high) / 2)
      if ends[middle].place < run.place then
        low = middle
      else
        high = middle - 1
      end
    end
    run.before = ends[low]
    run.weight = run.count + (run.before and run.before.weight or 0)
    while ends[low + 1] and ends[low + 1].weight <= run.weight do
      table.remove(ends, low + 1)
    end
    table.insert(ends, low + 1, run)
  end
  local chain, run = {}, ends[#ends] ---@type lazycelery.Run[], lazycelery.Run?
  while run do
    chain[#chain + 1] = run
    run = run.before
  end
  for i = 1, math.floor(#chain / 2) do
    chain[i], chain[#chain + 1 - i] = chain[#chain + 1 - i], chain[i]
  end
  return chain
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
  local runs = in_common(new, first, last_new, at)
  if not runs then
    return { { first, gone, first, come } }
  end
  local hunks, from, start = {}, first, first
  for _, run in ipairs(rising(runs)) do
    if run.place > from or run.start > start then
      hunks[#hunks + 1] = { from, run.place - from, start, run.start - start }
    end
    from, start = run.place + run.count, run.start + run.count
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
