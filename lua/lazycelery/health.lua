--- `:checkhealth lazycelery`: what is installed, connected and enabled, and what to do about the rest.
local client = require("lazycelery.client")
local environment = require("lazycelery.environment")

local M = {}

local health = vim.health

local function neovim()
  health.start("Neovim")
  local about = vim.fn.api_info().version --[[@as table]]
  local version = ("%d.%d.%d"):format(about.major, about.minor, about.patch)
  if vim.fn.has("nvim-0.10") == 1 then
    health.ok("Neovim " .. version)
  else
    health.error("Neovim " .. version .. " is too old", { "Install 0.10 or newer" })
  end
  local copies = vim.api.nvim_get_runtime_file("lua/lazycelery/init.lua", true)
  if #copies > 1 then
    health.warn(
      "Installed more than once: " .. table.concat(copies, ", "),
      { "Remove all but one" }
    )
  end
  if vim.fn.exists(":LazyCelery") == 0 then
    health.error(":LazyCelery is not defined", { "The plugin must load at start: lazy = false" })
  end
end

---@param path string
---@return string
local function size(path)
  local stat = vim.uv.fs_stat(path)
  return stat and require("lazycelery.format").bytes(stat.size) or "absent"
end

--- Our own log, where the server writes it by default.
local function own_log()
  local path = require("lazycelery.client.program").log_file()
  health.info(("The server's log: %s (%s)"):format(path, size(path)))
end

local function logging()
  own_log()
  local log = require("vim.lsp.log")
  local file = log.get_filename and log.get_filename()
  if file then
    health.info(("Neovim's LSP log: %s (%s)"):format(file, size(file)))
  end
  local ok, level = pcall(function()
    return log.get_level and log.get_level()
  end)
  if ok and type(level) == "number" and level <= vim.log.levels.DEBUG then
    health.warn("LSP logging is at debug: it writes arguments of tasks to the log", {
      'vim.lsp.set_log_level("warn")',
    })
  end
end

--- What is set otherwise than by default.
local function options()
  local config = require("lazycelery.config")
  local set = {}
  for _, option in ipairs(config.schema) do
    local value = config.options[option.name]
    if not vim.deep_equal(value, option.default) then
      set[#set + 1] = ("%s = %s"):format(
        option.name,
        vim.inspect(value, { newline = " ", indent = "" })
      )
    end
  end
  health.info("Options: " .. (#set > 0 and table.concat(set, ", ") or "the defaults"))
end

local function server()
  health.start("Server")
  local cmd = client.command()
  local path = vim.fn.exepath(cmd[1] or "")
  if path == "" then
    health.error(("%s is not found"):format(cmd[1] or "cmd"), {
      "Install it, or set the option cmd (:help lazycelery-install)",
    })
  else
    health.ok(path)
  end
  local phase, reason = client.phase()
  local info = client.info()
  if phase == "ready" and info then
    local about = info.serverInfo or {}
    health.ok(
      ("Running: %s %s, protocol %d"):format(about.name or "?", about.version or "?", info.protocol)
    )
  elseif phase == "refused" or phase == "lost" then
    health.error(tostring(reason or phase), { "R in a view starts it again" })
  else
    health.info("Not running: :LazyCelery starts it")
  end
  local others = client.outdated()
  if #others > 0 then
    health.warn("The server was started with another " .. table.concat(others, ", "), {
      ":LazyCelery restart starts it anew",
    })
  end
  logging()
end

local function environments()
  health.start("Environments")
  local names = environment.names()
  if #names == 0 then
    health.info("None is known before :LazyCelery was used")
  end
  for _, name in ipairs(names) do
    local row = assert(environment.get(name))
    local from = row.url_from and (", from " .. row.url_from) or ""
    local line = ("%s: %s, %s%s"):format(name, row.status, row.url or row.transport or "?", from)
    if row.status == "disconnected" then
      health.error(line .. ": " .. (row.error or "no reason known"))
    elseif row.status == "connected" and row.events == "off" then
      health.warn(line .. ": no worker sends task events", { "ce in a view turns them on" })
    else
      health.ok(line)
    end
  end
end

--- Buffers that bear a name of ours and are no views: they are ordinary files, which `:w` writes.
local function strays()
  local registry = require("lazycelery.registry")
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    local name = vim.api.nvim_buf_get_name(buf)
    local loaded = vim.api.nvim_buf_is_loaded(buf) and vim.bo[buf].buftype == ""
    if vim.startswith(name, "lazycelery://") and loaded and not registry.get(buf) then
      health.warn(("Buffer %d, %s, is no view"):format(buf, name), {
        "The plugin was not loaded when it was opened: lazy = false (:help lazycelery-install)",
        (":buffer %d makes it one"):format(buf),
      })
    end
  end
end

local function views()
  local head = package.loaded["lazycelery.head"]
  local winbar = head and head.lost("winbar") or {}
  local statusline = head and head.lost("statusline") or {}
  if #winbar + #statusline > 0 then
    health.start("Views")
  end
  if #winbar > 0 then
    health.warn("Another plugin sets the winbar of our windows", {
      "Exclude these filetypes there: " .. table.concat(winbar, ", "),
    })
  end
  if #statusline > 0 then
    health.info(
      "Another plugin sets the statusline of our windows; "
        .. "it can show ours: :help lazycelery-statusline"
    )
  end
end

function M.check()
  neovim()
  options()
  server()
  environments()
  strays()
  views()
end

return M
