import random
import time

from celery import shared_task


@shared_task(bind=True, max_retries=4)
def sync(self, supplier):
    """Most suppliers answer at the second or third try; some never do."""
    try:
        return fetch(supplier)
    except ConnectionError as error:
        raise self.retry(exc=error, countdown=2**self.request.retries)


def fetch(supplier):
    time.sleep(random.uniform(0.1, 0.4))
    if supplier == "acme" or random.random() < 0.5:
        raise ConnectionError(f"{supplier}.example: connection timed out")
    return {"supplier": supplier, "items": random.randrange(500)}
