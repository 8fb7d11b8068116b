"""Messages that are not acknowledged within seconds are handed out again, as after a worker's loss."""

from celery import Celery

app = Celery("lab", include=["lab.tasks"])
app.conf.broker_transport_options = {
    "visibility_timeout": 2,
    "unacked_restore_interval": 1,
    "unacked_restore_throttle": 1,
}
