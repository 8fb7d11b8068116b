std = "luajit"
cache = false
max_line_length = 110
read_globals = { "vim" }
globals = { "vim.g", "vim.b", "vim.w", "vim.o", "vim.bo", "vim.wo", "vim.opt_local", "vim.ui.select", "vim.ui.input", "vim.notify" }
self = false
