--- The program that is the server: why it cannot start, what it says of itself, and how often it is
--- tried again. Knows no protocol.
local config = require("lazycelery.config")

local M = {}

local STARTS, WITHIN_S = 3, 60
local FIRST_MS, MOST_MS = 250, 10000
--- A server that lived as long had no trouble at its start.
local PROVEN_MS = 10000

--- Variables that the server reads when it starts, and never again.
local VARIABLES = { "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND" }

local given = {} ---@type table<string, string?> what it was started with
local starts = {} ---@type number[]
local losses = 0
local born = 0

--- Why a command cannot be started, told apart as far as that is possible.
---@param cmd string[]
---@return string? sentence
function M.obstacle(cmd)
  local program = cmd[1]
  if type(program) ~= "string" or program == "" then
    return "the option `cmd` holds no program"
  end
  local path = vim.fn.exepath(program)
  if path ~= "" then
    return nil
  elseif program:find("/") and vim.uv.fs_stat(program) then
    return program .. " is not executable"
  end
  return ("%s is not on PATH: install it, or set the option `cmd` (:help lazycelery-install)"):format(
    program
  )
end

--- Why a program ended before it answered, in its own words and in one line. It is run once more, as
--- it was, with nothing to read: what it said the first time went to Neovim's log.
---@param cmd string[]
---@param callback fun(text: string)
function M.quote(cmd, callback)
  local ok = pcall(
    vim.system,
    cmd,
    { text = true, timeout = 1000, stdin = "" },
    vim.schedule_wrap(function(out)
      local said = vim.trim((out.stderr ~= "" and out.stderr or out.stdout) or "")
      callback(said:match("[^\n]*") or "")
    end)
  )
  if not ok then
    callback("its loader or interpreter is missing")
  end
end

--- Where the server writes its log: what its command line says, else its default.
---@return string path
function M.log_file()
  local cmd = config.options.cmd
  for i, argument in ipairs(cmd) do
    local named = argument:match("^%-%-log%-file=(.*)$")
    if named or argument == "--log-file" then
      return named or cmd[i + 1] or ""
    end
  end
  local state = vim.env.XDG_STATE_HOME
  if not state or state == "" then
    state = vim.uv.os_homedir() .. "/.local/state"
  end
  return state .. "/lazycelery/lazycelery.log"
end

--- Counts a start.
---@param last? string why the last one ended
---@return string? sentence where it was one too many
function M.count_start(last)
  local now = vim.uv.now() / 1000
  starts = vim.tbl_filter(function(at)
    return now - at < WITHIN_S
  end, starts)
  table.insert(starts, now)
  born = vim.uv.now()
  for _, name in ipairs(VARIABLES) do
    given[name] = vim.env[name]
  end
  if #starts > STARTS then
    return ("the server ended %d times within a minute (last: %s)"):format(
      STARTS,
      last or "no reason known"
    )
  end
end

--- Variables that are others now than when the server was started.
---@return string[]
function M.outdated()
  return vim.tbl_filter(function(name)
    return given[name] ~= vim.env[name]
  end, VARIABLES)
end

--- Someone asks for it by hand: earlier failures are forgiven.
function M.forgive()
  starts, losses = {}, 0
end

--- How long to wait before it is started again: longer each time, never the same for two editors
--- whose servers went at once, and short again after one that lived.
---@param random? number from 0 to 1
---@return integer ms
function M.back_off(random)
  if vim.uv.now() - born >= PROVEN_MS then
    losses = 0
  end
  local most = math.min(MOST_MS, FIRST_MS * 2 ^ losses)
  losses = losses + 1
  return math.floor(most / 2 + most / 2 * (random or math.random()))
end

return M
