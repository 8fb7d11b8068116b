-- A question ends, whatever becomes of its picker.
local ask = require("lazycelery.act.ask")
local expect = require("expect")

local view =
  { buf = vim.api.nvim_get_current_buf(), id = { environment = "default", view = "tasks" } }
local said = {}
vim.notify = function(sentence) -- luacheck: ignore 122
  table.insert(said, sentence)
end

---@param thrown string
---@return boolean ok
---@return string? reason
local function ask_and_throw(thrown)
  vim.ui.select = function() -- luacheck: ignore 122
    error(thrown, 0)
  end
  local press = { name = "retry", at = vim.uv.now(), lhs = "r" }
  local sheet = { lines = { "what will be sent" }, spans = { {} } }
  local question = { press = press, prompt = "Send?", yes = "Yes, send", preview = sheet }
  return pcall(ask.question, view, question, function()
    error("it was done")
  end)
end

-- `<C-c>` in Neovim's own.
expect.equal({ ask_and_throw("Keyboard interrupt") }, { true })
expect.equal(said, { "lazycelery: nothing was done" })
-- Somebody else's that is broken says so itself.
expect.equal({ ask_and_throw("a fault of the picker") }, { false, "a fault of the picker" })
expect.equal(view.confirming, nil, "the view goes on")
expect.equal(#vim.api.nvim_list_wins(), 1, "no sheet stays")
