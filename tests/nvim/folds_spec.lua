-- What a window has closed of a page stays closed, whatever lines change around it.
local expect = require("expect")
local folds = require("lazycelery.folds")
local patch = require("lazycelery.patch")

math.randomseed(7)

---@param round integer
---@return string[] lines
---@return string[] ids
local function page(round)
  local lines, ids = { "head", "" }, { "head", "blank" }
  for _, name in ipairs({ "Queues", "Statistics", "Configuration" }) do
    lines[#lines + 1] = ("▾ %s as of %d"):format(name, math.random(3) == 1 and round or 0)
    ids[#ids + 1] = name
    for i = 1, math.random(2, 6) do
      lines[#lines + 1] = ("   %s%d %d"):format(name, i, math.random(2) == 1 and round or 0)
      ids[#ids + 1] = name .. i
    end
    lines[#lines + 1] = ""
    ids[#ids + 1] = "blank" .. name
  end
  return lines, ids
end

local buf = vim.api.nvim_create_buf(false, true)
vim.api.nvim_win_set_buf(0, buf)
vim.wo.foldmethod = "expr"
vim.wo.foldexpr = "v:lua.require'lazycelery.folds'.expr()"
vim.wo.foldlevel = 99
vim.wo.foldminlines = 0

local lines, ids = page(0)
patch.apply(buf, { "" }, lines)
vim.cmd.redraw()
folds.restore(buf, lines, ids)

for round = 1, 300 do
  local saved = folds.save(buf, lines, ids)
  local new, new_ids = page(round)
  patch.apply(buf, lines, new)
  vim.cmd.redraw()
  folds.restore(buf, new, new_ids, saved)
  vim.cmd.redraw()
  for _, section in ipairs(folds.sections(new, new_ids)) do
    local shut = section.id ~= "Queues"
    for line = section.first, section.last do
      expect.equal(vim.fn.foldclosed(line), shut and section.first or -1, "round " .. round)
    end
  end
  lines, ids = new, new_ids
end
