--- Makes a buffer show new lines, touching only those that changed, so that cursors, marks and
--- folds of the others stay. Knows nothing of Celery.
local M = {}

local diff = vim.text and vim.text.diff or vim.diff

--- By how many lines everything moved down, where that is all that happened: what a list that
--- follows does, and too often to run a diff over thousands of lines.
---@param old string[]
---@param new string[]
---@param first integer
---@param gone integer
---@param come integer
---@return integer?
local function shifted(old, new, first, gone, come)
  if gone ~= come then
    return nil
  end
  for shift = 1, math.min(gone - 1, 100) do
    if new[first + shift] == old[first] then
      for i = first, first + gone - 1 - shift do
        if new[i + shift] ~= old[i] then
          return nil
        end
      end
      return shift
    end
  end
end

--- The ranges that differ, as vim.diff's indices: { old start, old count, new start, new count }.
---@param old string[]
---@param new string[]
---@return integer[][]
function M.hunks(old, new)
  local first, last_old, last_new = 1, #old, #new
  while first <= last_old and first <= last_new and old[first] == new[first] do
    first = first + 1
  end
  while last_old >= first and last_new >= first and old[last_old] == new[last_new] do
    last_old = last_old - 1
    last_new = last_new - 1
  end
  local gone, come = last_old - first + 1, last_new - first + 1
  if gone == 0 and come == 0 then
    return {}
  elseif gone == 0 or come == 0 or (gone == 1 and come == 1) then
    return { { first, gone, first, come } }
  end
  local shift = shifted(old, new, first, gone, come)
  if shift then
    return { { first, 0, first, shift }, { first + gone - shift, shift, first + come, 0 } }
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
