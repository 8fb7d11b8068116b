-- The command and the scheme. Nothing of ours is loaded before one of them is used.
if vim.g.loaded_lazycelery then
  return
end
vim.g.loaded_lazycelery = true

if vim.fn.has("nvim-0.10") == 0 then
  vim.api.nvim_create_user_command("LazyCelery", function()
    vim.notify("lazycelery needs Neovim 0.10 or newer", vim.log.levels.ERROR)
  end, { nargs = "*" })
  return
end

vim.api.nvim_create_user_command("LazyCelery", function(command)
  require("lazycelery.command").run(command)
end, {
  nargs = "*",
  bang = true,
  range = true,
  desc = "Watch Celery: [view] [filter]",
  complete = function(...)
    return require("lazycelery.command").complete(...)
  end,
})

local group = vim.api.nvim_create_augroup("lazycelery", {})

vim.api.nvim_create_autocmd("BufReadCmd", {
  group = group,
  pattern = "lazycelery://*",
  nested = true,
  desc = "Open a view of Celery",
  callback = function(event)
    require("lazycelery.scheme").adopt(event.buf)
  end,
})

vim.api.nvim_create_autocmd({ "BufWinEnter", "BufEnter" }, {
  group = group,
  pattern = "lazycelery://*",
  nested = true,
  desc = "Set up a view that no BufReadCmd did",
  callback = function(event)
    require("lazycelery.scheme").ensure(event.buf)
  end,
})

vim.api.nvim_create_autocmd("BufWriteCmd", {
  group = group,
  pattern = "lazycelery://*",
  desc = "Ask what a write is to do",
  callback = function(event)
    require("lazycelery.act.write").asked(event)
  end,
})

--- Views that are there without us go on, but for those of production: they wait for R.
local function adopt()
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.startswith(vim.api.nvim_buf_get_name(buf), "lazycelery://") then
      return require("lazycelery.scheme").restore()
    end
  end
end

vim.api.nvim_create_autocmd("SessionLoadPost", {
  group = group,
  nested = true,
  desc = "Views of a restored session go on",
  callback = adopt,
})

-- Loaded late, or anew, by a plugin manager.
vim.schedule(adopt)

vim.api.nvim_create_autocmd("ColorScheme", {
  group = group,
  desc = "Link our highlight groups again",
  callback = function()
    local highlight = package.loaded["lazycelery.highlight"]
    if highlight then
      highlight.set()
    end
  end,
})
