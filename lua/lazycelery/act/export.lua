--- All tasks that match, to a file. The server writes it, where it runs.
local ask = require("lazycelery.act.ask")
local format = require("lazycelery.format")
local job = require("lazycelery.act.job")
local outcome = require("lazycelery.act.outcome")

local M = {}

---@param path string as typed
---@return string
local function absolute(path)
  return vim.fn.fnamemodify(vim.fs.normalize(path), ":p")
end

---@param result table
---@return string
local function sentence(result)
  if not result.path then
    return "Stopped: no file was written"
  end
  local path = vim.fn.fnamemodify(result.path, ":~:.")
  local parts = {
    ("Exported %s to %s (%s)"):format(
      format.plural(result.rows, "task"),
      path,
      format.bytes(result.bytes)
    ),
  }
  if result.undecided then
    table.insert(parts, format.count(result.undecided) .. " lack what the filter asks for")
  end
  if result.incomplete then
    table.insert(parts, "not all was looked at: " .. table.concat(result.incomplete, ", "))
  end
  return table.concat(parts, "; ")
end

--- What is exported.
---@class lazycelery.Exported
---@field filter? string
---@field total? integer how many that are, as far as it is known

---@param asker lazycelery.Asker
---@param what lazycelery.Exported
---@param path string
---@param overwrite boolean
local function write(asker, what, path, overwrite)
  local params = { path = path, filter = what.filter, overwrite = overwrite }
  local options = { title = "Exporting tasks", view = asker }
  job.run(asker.id.environment, "task/export", params, options, function(err, result)
    if err and err.data and err.data.kind == "exists" then
      local yes = "Yes, overwrite " .. err.data.path
      return ask.choose(asker, "Overwrite?", {
        {
          yes,
          function()
            write(asker, what, path, true)
          end,
        },
      })
    elseif err then
      return outcome.failed(err)
    end
    outcome.say(sentence(result))
    outcome.warn(result.warnings)
  end)
end

--- Exports tasks; without a path it is asked for.
---@param asker lazycelery.Asker
---@param what lazycelery.Exported
---@param path? string
---@param bang? boolean overwrites
function M.export(asker, what, path, bang)
  if path then
    return write(asker, what, absolute(path), bang or false)
  end
  local words = what.total and format.plural(what.total, "task") or "the tasks"
  local prompt = ("Export %s to (.csv, .json, .jsonl): "):format(words)
  local name = ("tasks-%s.csv"):format(os.date("%Y-%m-%d"))
  vim.ui.input({ prompt = prompt, default = name, completion = "file" }, function(text)
    if text and vim.trim(text) ~= "" then
      write(asker, what, absolute(vim.trim(text)), bang or false)
    end
  end)
end

--- Exports the tasks of a view.
---@param view lazycelery.View
---@param path? string
---@param bang? boolean overwrites
function M.view(view, path, bang)
  if view.def.noun ~= "task" or view.def.layout ~= "list" then
    return outcome.say("lazycelery: export is of tasks; g2 shows them", vim.log.levels.WARN)
  elseif view.loaded and view.total == 0 and view.exact ~= false then
    return outcome.say("lazycelery: there is no task to be exported", vim.log.levels.WARN)
  end
  M.export(view, { filter = view.filter, total = view.total }, path, bang)
end

---@type table<string, lazycelery.Action>
M.actions = {
  export = {
    description = "export all that match to a file",
    run = function(view, press)
      M.view(view, nil, press.bang)
    end,
  },
}

return M
