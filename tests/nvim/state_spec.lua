-- The words of a task's state.
local expect = require("expect")
local state = require("lazycelery.state")

expect.equal(state.word({ state = "RECEIVED", place = "scheduled" }), "SCHEDULED")
expect.equal(state.word({ state = "STARTED", orphaned = { worker = "w", since = 1 } }), "ORPHANED")
expect.equal(state.word({ state = "STARTED", ended = "unknown" }), "ENDED")
expect.equal(state.word({ state = "COMPRESSING" }), "COMPRESSING", "custom states exist")
expect.equal(
  state.exception("CardDeclined('insufficient funds')"),
  "CardDeclined: insufficient funds"
)
expect.equal(state.exception("KeyError('a',)"), "KeyError: a")
expect.equal(state.exception("Timeout()"), "Timeout()")
expect.equal(
  state.exception([[ValueError('bad\nthing')]]),
  [[ValueError('bad\nthing')]],
  "what is escaped stays as it is"
)
expect.equal(state.exception("ValueError('a', 'b')"), "ValueError('a', 'b')")
expect.equal(state.host("celery@web-1"), "web-1")
expect.equal(state.host("gpu@web-1"), "gpu@web-1")
