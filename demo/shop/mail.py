import random
import time

from celery import shared_task


@shared_task
def confirm(receipt, to):
    time.sleep(random.uniform(0.05, 0.3))
    return f"order {receipt['order']} confirmed to {to}"


@shared_task
def newsletter(to, issue):
    time.sleep(random.uniform(0.1, 0.5))


@shared_task
def remind(to, basket):
    """Sent for later: it waits in a worker until its ETA."""
    return {"to": to, "items": len(basket)}
