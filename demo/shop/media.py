import random
import time

from celery import shared_task


@shared_task
def resize(picture, width):
    time.sleep(random.uniform(0.2, 1.2))
    return f"{picture.removesuffix('.png')}-{width}.png"


@shared_task
def archive(picture):
    """Goes to a queue that no worker consumes."""
    return picture
