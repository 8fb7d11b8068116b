"""Celery's defaults, but the application sets the result backend, with a password, and so `conf` tells
of it: masked."""

import os

from celery import Celery

backend = os.environ["CELERY_RESULT_BACKEND"].replace("redis://", "redis://lab:lab-secret@")
app = Celery("lab", include=["lab.tasks"], backend=backend)
