-- What `make demo` gives Neovim besides its defaults: the plugin of this folder, and its server.
local root = vim.fs.dirname(vim.fs.dirname(debug.getinfo(1, "S").source:sub(2)))
vim.opt.runtimepath:prepend(root)
pcall(vim.cmd.helptags, root .. "/doc") -- a plugin manager does that; a folder may be read-only
vim.o.termguicolors = vim.env.COLORTERM ~= nil
require("lazycelery").setup({ cmd = { vim.env.LAZYCELERY_DEMO_SERVER } })
