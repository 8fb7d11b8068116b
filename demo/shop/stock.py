import random
import time

from celery import shared_task

SHELVES = {"lamp": 40, "chair": 12, "desk": 3}


class OutOfStock(Exception):
    pass


@shared_task
def reserve(order, items):
    for item, count in items.items():
        take(item, count)
    return order


@shared_task
def count(shelf):
    time.sleep(random.uniform(0.1, 0.6))
    return random.randrange(100)


@shared_task
def total(counts):
    return sum(counts)


def take(item, wanted):
    time.sleep(random.uniform(0.02, 0.2))
    try:
        left = SHELVES[item]
    except KeyError:
        raise OutOfStock(f"no shelf holds {item!r}")
    if wanted > left:
        raise OutOfStock(f"{wanted} × {item} wanted, {left} left")
