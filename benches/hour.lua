--- An hour's worth of updates for the list of tasks that is shown, as fast as it takes them: each is
--- one changed row that comes to the top.
local feeds = require("lazycelery.client.feeds")
local view = assert(require("lazycelery.view").get(), "a view")

local M = { over = false }

local A_TURN = 20

local heard, subscription = feeds.heard, nil
feeds.heard = function(params)
  if params.result and params.result.total == #view.keys then
    subscription = params.subscription
  end
  heard(params)
end

--- Has the feed of the view spoken since this is here?
---@return boolean
function M.known()
  return subscription ~= nil
end

--- Megabytes of Lua, and of the whole process.
---@return number[]
function M.held()
  collectgarbage()
  collectgarbage()
  return { collectgarbage("count") / 1024, vim.uv.resident_set_memory() / 1048576 }
end

---@param step integer
local function update(step)
  local from = step * 7919 % #view.keys
  local row = vim.deepcopy(view.rows[view.keys[from + 1]])
  row.seen, row.result = row.seen + step, "update " .. step
  local moves = {
    { from = 0, gone = 0, come = { row.key } },
    { from = from, gone = 1, come = {} },
  }
  local result = { rows = { row }, moves = moves, total = #view.keys, exact = true }
  local said = vim.json.encode({ subscription = subscription, result = result })
  heard(vim.json.decode(said))
end

---@param updates integer
function M.begin(updates)
  local step = 0
  local function turn()
    for _ = 1, A_TURN do
      step = step + 1
      update(step)
    end
    if step < updates then
      vim.defer_fn(turn, 1)
    else
      M.over = true
    end
  end
  turn()
end

return M
