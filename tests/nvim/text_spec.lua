-- Text from outside made fit for a line.
local expect = require("expect")
local text = require("lazycelery.text")

expect.equal(text.clean("plain (42, 'eur')"), "plain (42, 'eur')")
expect.equal(text.clean("two\nlines\ttab\0nul\27[31m"), "two\\nlines\\ttab\\x00nul\\x1b[31m")
expect.equal(text.clean("é 日本 ö"), "é 日本 ö")
-- Direction controls would turn what stands beside them (U+202E), separators break the line.
expect.equal(text.clean("a\226\128\174b\226\129\166c\226\128\168d"), "a<202e>b<2066>c<2028>d")
expect.equal(text.clean("\194\155x"), "\\x9bx", "a C1 control")
expect.equal(
  text.clean("… – “quoted”"),
  "… – “quoted”",
  "other punctuation of that block stays"
)

expect.equal(text.width("日本"), 4)
expect.equal(text.cut("insufficient", 8), "insuffi…")
expect.equal(text.cut("shop.tasks.charge", 10, true), "…ks.charge")
expect.equal(text.cut("日本語", 4), "日…", "never half a wide character")
expect.equal(text.cut("abc", 3), "abc")
expect.equal(text.cut("abc", 0), "")
expect.equal(text.pad("ab", 4), "ab  ")
expect.equal(text.pad("日", 4, true), "  日")

expect.equal(text.wrap("", 9), { "" })
expect.equal(text.wrap("one two  three", 9), { "one two", "three" })
expect.equal(text.wrap("celery -A proj", 40), { "celery -A proj" })
expect.equal(text.wrap("a verylongword b", 6), { "a", "verylongword", "b" })
