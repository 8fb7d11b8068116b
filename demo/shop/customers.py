"""python -m shop.customers: keeps the shop busy, at a few tasks a second, for as long as it runs."""

import itertools
import random
import time

from celery import chain, chord, group

from shop.app import app
from shop.mail import confirm, newsletter, remind
from shop.media import archive, resize
from shop.payments import charge, refund
from shop.reports import monthly
from shop.stock import count, reserve, total
from shop.suppliers import sync

app.set_default()
orders = itertools.count(1001)
ITEMS = ["lamp", "chair", "desk", "sofa"]


def someone():
    return f"{random.choice(['ada', 'grace', 'edsger', 'barbara', 'donald'])}@shop.example"


def order():
    """A chain: reserve, then charge, then confirm."""
    number = next(orders)
    items = {random.choice(ITEMS): random.randint(1, 4)}
    chain(
        reserve.s(number, items),
        charge.s(round(random.uniform(5, 400), 2)),
        confirm.s(to=someone()),
    ).apply_async()


def payments():
    """A burst with all four priorities: the queue fills faster than it empties."""
    for _ in range(120):
        charge.apply_async((next(orders), random.randint(5, 90)), priority=random.choice([0, 3, 6, 9]))


def pictures():
    """A group."""
    group(resize.s("lamp.png", width) for width in (200, 800, 2400)).apply_async()


def stocktaking():
    """A chord: count the shelves, then add up."""
    chord([count.s(shelf) for shelf in range(5)], total.s()).apply_async()


def reminder():
    remind.apply_async((someone(), ["lamp", "desk"]), countdown=random.randint(20, 300))


def stale_newsletter():
    """It expires while it waits."""
    newsletter.apply_async((someone(), 11), countdown=5, expires=2)


# What happens, and every how many seconds on average.
HAPPENINGS = [
    (order, 1),
    (lambda: newsletter.delay(someone(), issue=11), 1),
    (pictures, 5),
    (lambda: sync.delay(random.choice(["acme", "globex", "initech"])), 6),
    (reminder, 8),
    (stocktaking, 12),
    (lambda: monthly.delay(month=random.randint(1, 12)), 15),
    (lambda: refund.delay(next(orders)), 20),
    (payments, 30),
    (stale_newsletter, 30),
    (lambda: archive.apply_async(("lamp.png",), expires=3600), 10),
]

for happening, _ in HAPPENINGS:
    happening()
while True:
    time.sleep(random.uniform(0.2, 0.4))
    for happening, seconds in HAPPENINGS:
        if random.random() < 0.3 / seconds:
            happening()
