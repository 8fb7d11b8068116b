--- What a row is shown with: the time, the glyphs, the environment. Notes which cells tick.
local config = require("lazycelery.config")
local environment = require("lazycelery.environment")
local format = require("lazycelery.format")

---@class lazycelery.Context
---@field environment string
---@field ascii boolean
---@field calm boolean
---@field ticking boolean a cell made since this was cleared depends on the time
---@field time number now, by the environment's clock
---@field known number how far what is known reaches: until now, or until the connection was lost
---@field past boolean the connection is lost
---@field columns table<string, true> fields of the columns that the row is shown in
local Context = {}
Context.__index = Context

---@param name string of the environment
---@return lazycelery.Context
function Context.new(name)
  return setmetatable({
    environment = name,
    ascii = config.options.ascii,
    calm = config.options.calm,
    ticking = false,
    time = environment.now(name),
    known = environment.known(name),
    past = environment.is_past(name),
    columns = {},
  }, Context)
end

--- A glyph, or its letter where the user wants none.
---@param glyph string
---@param letter string
---@return string
function Context:glyph(glyph, letter)
  return self.ascii and letter or glyph
end

--- Now, by the environment's clock: what uses it is drawn again every second.
---@return number
function Context:now()
  self.ticking = true
  return self.time
end

--- A moment in local time, with the date where it is not today.
---@param at number?
---@return string
function Context:clock(at)
  return at and format.clock(at, self.time) or ""
end

--- How long ago something was; ticks.
---@param at number
---@return string
function Context:age(at)
  return format.age(self:now() - at)
end

--- How long something has been going on, as far as is known; ticks.
---@param since number
---@return number seconds
function Context:lasting(since)
  self.ticking = true
  return self.known - since
end

return Context
