"""Celery's defaults: URLs come from the environment, and no setting is touched."""

from celery import Celery

app = Celery("lab", include=["lab.tasks"])
