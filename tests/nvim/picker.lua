--- A picker, and a line to be typed in, that wait for the test as those of plugins do. While the ones
--- of its own wait, Neovim 0.10 answers nobody.
local M = {
  asked = nil, ---@type { prompt: string, items: string[] }? the question that is open
  answer = nil, ---@type fun(item: string?)?
  typed = nil, ---@type fun(text: string?)? what is to be typed
}

vim.ui.select = function(items, options, choose)
  M.asked = { prompt = options.prompt, items = items }
  M.answer = function(item)
    M.asked = nil
    choose(item)
  end
end

vim.ui.input = function(options, done)
  M.asked = { prompt = options.prompt, items = {} }
  M.typed = function(text)
    M.asked = nil
    done(text)
  end
end

--- Answers the question that is open by the number of an item.
---@param number integer
function M.pick(number)
  M.answer(M.asked.items[number])
end

return M
