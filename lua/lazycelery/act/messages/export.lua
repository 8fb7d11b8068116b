--- The messages of a queue to a file: one JSON object a line, arguments as they were sent.
local ask = require("lazycelery.act.ask")
local draft = require("lazycelery.act.messages.draft")
local format = require("lazycelery.format")
local job = require("lazycelery.act.job")
local outcome = require("lazycelery.act.outcome")

local M = {}

--- Messages that one answer holds, at most.
local MOST = 5000

--- Writes lines where nobody else can read them, all of them or none.
---@param path string
---@param lines string[]
---@return boolean
local function put(path, lines)
  local beside = path .. ".part"
  local ok, done = pcall(function()
    -- First it is ours alone, then something stands in it.
    return vim.fn.writefile({}, beside) == 0
      and vim.fn.setfperm(beside, "rw-------") == 1
      and vim.fn.writefile(lines, beside) == 0
      and vim.fn.rename(beside, path) == 0
  end)
  if not (ok and done) then
    vim.fn.delete(beside)
  end
  return ok and done == true
end

---@param view lazycelery.View
---@param path string
local function write(view, path)
  local queue = draft.queue(view)
  local params = { queue = queue, limit = MOST, full = true }
  local options = { title = "Reading messages", view = view }
  job.look(view.id.environment, "queue/messages", params, options, function(result)
    local name = vim.fn.fnamemodify(path, ":~:.")
    if not put(path, vim.tbl_map(vim.json.encode, result.rows)) then
      return outcome.say(("lazycelery: cannot write %s"):format(name), vim.log.levels.ERROR)
    end
    local count = format.plural(#result.rows, "message")
    if result.total > #result.rows then
      count = ("the first %s of %s"):format(format.count(#result.rows), format.count(result.total))
    end
    outcome.say(("Exported %s of %s to %s"):format(count, queue, name))
  end)
end

--- Asks for the file, and before one is overwritten.
---@param view lazycelery.View
local function export(view)
  local queue = draft.queue(view)
  local name = ("%s-%s.jsonl"):format(queue:gsub("[^%w%-%._]", "_"), os.date("%Y-%m-%d"))
  local prompt = ("Export the messages of %s to: "):format(queue)
  vim.ui.input({ prompt = prompt, default = name, completion = "file" }, function(text)
    if not text or vim.trim(text) == "" then
      return
    end
    local path = vim.fn.fnamemodify(vim.fs.normalize(vim.trim(text)), ":p")
    if not vim.uv.fs_stat(path) then
      return write(view, path)
    end
    local function overwrite()
      write(view, path)
    end
    ask.choose(view, "Overwrite?", { { "Yes, overwrite " .. path, overwrite } })
  end)
end

---@type table<string, lazycelery.Action>
M.actions = {
  export_messages = {
    description = "export the messages to a file, as JSON lines",
    run = export,
  },
}

return M
