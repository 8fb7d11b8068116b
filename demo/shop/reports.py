import random
import time

from celery import shared_task


@shared_task(bind=True, acks_late=True)
def monthly(self, month, pages=12):
    for page in range(pages):
        self.update_state(state="PROGRESS", meta={"current": page, "total": pages})
        time.sleep(random.uniform(0.2, 0.5))
    return {"month": month, "pages": pages}
