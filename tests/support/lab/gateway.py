"""A second module, so that tracebacks cross files."""


class CardDeclined(Exception):
    pass


def pay(amount):
    raise CardDeclined(f"insufficient funds for {amount}")
