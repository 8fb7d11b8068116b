--- Highlight groups: links to groups every colourscheme has, made anew when the scheme changes.
local M = {}

---@type table<string, string>
M.links = {
  LazyCeleryOk = "DiagnosticOk",
  LazyCeleryError = "DiagnosticError",
  LazyCeleryWarn = "DiagnosticWarn",
  LazyCeleryBusy = "DiagnosticInfo",
  LazyCeleryDim = "Comment",
  LazyCeleryName = "Identifier",
  LazyCeleryString = "String",
  LazyCeleryTitle = "Title",
  LazyCeleryKey = "Special",
  LazyCeleryHeader = "WinBar",
  LazyCeleryFile = "Directory",
  LazyCeleryProduction = "DiagnosticError",
}

function M.set()
  for group, link in pairs(M.links) do
    vim.api.nvim_set_hl(0, group, { link = link, default = true })
  end
end

return M
