"""A small shop on Celery's defaults: what `make demo` shows."""
