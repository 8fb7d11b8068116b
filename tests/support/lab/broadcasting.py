"""A Broadcast queue beside the ordinary one: every worker that consumes it gets every message."""

from celery import Celery
from kombu import Queue
from kombu.common import Broadcast

app = Celery("lab", include=["lab.tasks"])
app.conf.task_queues = [Queue("celery"), Broadcast("notices")]
