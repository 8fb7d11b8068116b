-- Numbers and times as people read them.
local expect = require("expect")
local format = require("lazycelery.format")

for number, shown in pairs({
  [0] = "0",
  [999] = "999",
  [1204] = "1,204",
  [48210] = "48,210",
  [1e6] = "1,000,000",
}) do
  expect.equal(format.count(number), shown)
end
for seconds, shown in pairs({
  [0.0004] = "0.4 ms",
  [0.018] = "18 ms",
  [0.9999] = "1.0 s",
  [8.2] = "8.2 s",
  [252] = "4m12s",
  [11040] = "3h04m",
  [273600] = "3d04h",
  [-0.5] = "-500 ms",
}) do
  expect.equal(format.duration(seconds), shown)
end
for seconds, shown in pairs({
  [-1] = "0s",
  [9.9] = "9s",
  [61] = "1m",
  [7200] = "2h",
  [200000] = "2d",
}) do
  expect.equal(format.age(seconds), shown)
end
for bytes, shown in pairs({
  [400] = "400B",
  [222298112] = "212M",
  [1500000000] = "1.4G",
  [1048575] = "1.0M",
}) do
  expect.equal(format.bytes(bytes), shown)
end
for share, shown in pairs({ [0] = "0 %", [0.012] = "1.2 %", [0.992] = "99.2 %", [1] = "100 %" }) do
  expect.equal(format.percent(share), shown)
end
expect.equal(
  { format.rate(0), format.rate(0.1), format.rate(82), format.rate(1204.4) },
  { "0", "0.1", "82.0", "1,204" }
)

-- 2026-11-24 12:04:31 UTC; the tests run with TZ=UTC.
local at = 1795521871
expect.equal(format.clock(at, at + 10), "12:04:31")
expect.equal(format.clock(at, at + 86400), "24 Nov")
expect.equal(format.clock(at, at + 400 * 86400), "2026-11")
expect.equal(format.moment(at + 0.9504), "2026-11-24 12:04:31.950")

expect.equal(format.spark({ 0, 1, 2, 4 }, false), "▁▂▄█")
expect.equal(format.spark({ 2, 2 }, true, 8), "22")
expect.equal(format.spark({ 0, 0 }, false), "▁▁", "no division by nothing")
expect.equal(format.bar(0.62, 8, false), "▓▓▓▓▓░░░")
expect.equal(format.bar(7, 4, true), "####")
expect.equal(
  format.plural(1, "worker") .. ", " .. format.plural(3, "worker"),
  "1 worker, 3 workers"
)
