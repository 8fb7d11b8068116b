--- Asks again and again where there is no feed, in the words of a feed.
local client = require("lazycelery.client")

local M = {}

local EVERY_MS = 2000

--- Calls `method` now and every 2 s after each answer.
---@param method string
---@param params table
---@param callback fun(event: lazycelery.FeedEvent)
---@return lazycelery.Feed
function M.subscribe(method, params, callback)
  local stopped, paused, cancel = false, false, nil
  local round = 0

  ---@param done? fun(err: lazycelery.Error?)
  local function ask(done)
    round = round + 1
    local mine = round
    cancel = client.request(method, params, function(err, result)
      if stopped or mine ~= round then
        return
      end
      if done then
        done(err)
      end
      if err then
        callback({ error = err })
      else
        local keys = vim.tbl_map(function(row)
          return row.key
        end, result.rows)
        callback({
          result = { rows = result.rows, keys = keys, total = result.total, exact = result.exact },
        })
      end
      vim.defer_fn(function()
        if not stopped and not paused and mine == round then
          ask()
        end
      end, EVERY_MS)
    end)
  end

  ask()
  return {
    update = function(change, done)
      paused = change.paused or false
      for name, value in pairs(change) do
        if name ~= "paused" then
          params[name] = value
        end
      end
      if not paused then
        ask(done)
      end
    end,
    renew = function()
      ask()
    end,
    stop = function()
      stopped = true
      if cancel then
        cancel()
      end
    end,
  }
end

return M
