"""The payment provider: a second module, so that tracebacks cross files."""

import random
import time


class CardDeclined(Exception):
    pass


class GatewayTimeout(ConnectionError):
    pass


def pay(amount, currency):
    time.sleep(random.uniform(0.05, 0.4))
    outcome = random.random()
    if outcome < 0.08:
        raise CardDeclined(f"insufficient funds for {amount} {currency}")
    if outcome < 0.10:
        raise GatewayTimeout("no answer from pay.example after 400 ms")
    return {"amount": amount, "currency": currency, "approved": True}
