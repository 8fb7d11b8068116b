"""The Celery application that the tests run."""
