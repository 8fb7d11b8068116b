"""The same tasks under the settings that make a cluster tell the most."""

from celery import Celery

app = Celery("lab", include=["lab.tasks"])
app.conf.update(task_send_sent_event=True, result_extended=True, task_track_started=True)
