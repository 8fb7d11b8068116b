--- What a server answers to actions on tasks.
local double = require("double")

local M = {
  refused = {}, ---@type table<string, { kind: string, reason: string }> by uuid
  warnings = {}, ---@type { uuid: string?, kind: string, text: string }[]
  matching = {}, ---@type string[] uuids that a filter matches
  jobs = 0,
}

---@param params table
---@return string[]
local function meant(params)
  return params.uuids or M.matching
end

double.answers["task/retry"] = function(params)
  local answer = { sent = {}, refused = {}, warnings = vim.deepcopy(M.warnings) }
  for i, uuid in ipairs(meant(params)) do
    local refused = M.refused[uuid]
    local read = refused and refused.kind == "inexact" and params.accept_inexact
    if refused and not read then
      table.insert(answer.refused, vim.tbl_extend("force", { uuid = uuid }, refused))
    else
      table.insert(answer.sent, {
        from = uuid,
        uuid = ("%08x-aaaa-4aaa-8aaa-aaaaaaaaaaaa"):format(0xa0000000 + i),
        name = "shop.tasks.charge",
        queue = "high",
        source = read and "repr" or "backend",
        dropped = { "chain" },
        args_json = params.dry_run and '[42, "eur"]' or nil,
        kwargs_json = params.dry_run and "{}" or nil,
      })
    end
  end
  return answer
end

double.answers["task/revoke"] = function(params)
  local answer = { revoked = {}, replies = {}, missing = {}, refused = {}, warnings = M.warnings }
  for _, uuid in ipairs(meant(params)) do
    local refused = M.refused[uuid]
    if refused then
      table.insert(answer.refused, vim.tbl_extend("force", { uuid = uuid }, refused))
    else
      table.insert(answer.revoked, uuid)
    end
  end
  if not params.dry_run then
    for _, name in ipairs({ "celery@web-1", "celery@web-2", "celery@web-3" }) do
      answer.replies[name] = { ok = "tasks flagged as revoked" }
    end
    answer.missing = { "celery@gpu-1" }
  end
  if next(answer.replies) == nil then
    answer.replies = vim.empty_dict()
  end
  return answer
end

double.answers["job/cancel"] = function(params)
  return {
    key = params.job,
    job = params.job,
    method = "task/retry",
    environment = "prod",
    actor = "lazycelery.nvim",
    started = 1795521880,
    done = 120,
    total = 4210,
    status = "cancelling",
  }
end

return M
