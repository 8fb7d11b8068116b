--- Columns of a kind that several views have. Pure.
local M = {}

--- A member of the row itself.
---@param name string
---@return fun(row: table): number?
function M.member(name)
  return function(row)
    return row[name]
  end
end

--- A column of figures. They stand at the right, where they can be compared; one that is not known
--- leaves its cell empty.
---@param column table without `align` and `format`
---@param of fun(row: table): number? the figure of a row
---@param show fun(figure: number): string
---@param group? fun(row: table): string? highlight group
---@return lazycelery.Column
function M.figure(column, of, show, group)
  column.align = "right"
  column.format = function(row)
    local figure = of(row)
    return figure and show(figure), group and group(row)
  end
  return column
end

return M
