"""Small tasks, one for each way a task can go."""

import json
import os
import time
from pathlib import Path

from celery import shared_task

from lab import gateway


@shared_task(name="lab.add")
def add(x, y):
    return x + y


@shared_task(name="lab.echo")
def echo(*args, **kwargs):
    return kwargs or args


@shared_task(name="lab.total")
def total(numbers):
    return sum(numbers)


@shared_task(name="lab.fail")
def fail(amount=42):
    gateway.pay(amount)


@shared_task(name="lab.sleep")
def sleep(seconds):
    time.sleep(seconds)
    return seconds


@shared_task(name="lab.hold")
def hold(path, state_path=None):
    """Runs until a file appears: the test says when it ends. Announces itself by another file."""
    if state_path:
        Path(state_path).write_text(str(os.getpid()))
    while not Path(path).exists():
        time.sleep(0.01)
    return path


@shared_task(name="lab.note")
def note(path, *words, **named):
    """Writes down that it ran, and with what."""
    with Path(path).open("a") as file:
        file.write(json.dumps([words, named]) + "\n")
    return len(words)


@shared_task(name="lab.need")
def need(path, *words, **named):
    """Fails until a file is there; then writes down in it that it ran, and with what."""
    if not Path(path).exists():
        raise FileNotFoundError(path)
    return note.run(path, *words, **named)


@shared_task(name="lab.hold_late", acks_late=True)
def hold_late(path, state_path=None):
    return hold.run(path, state_path)


@shared_task(name="lab.retry", bind=True, max_retries=3, default_retry_delay=0.1)
def retry(self, succeed_at=2):
    """Fails until the given retry."""
    if self.request.retries < succeed_at:
        try:
            raise ConnectionError(f"timed out, retry {self.request.retries}")
        except ConnectionError as error:
            raise self.retry(exc=error)
    return self.request.retries


@shared_task(name="lab.progress", bind=True)
def progress(self, path, total=4):
    """Writes its progress step by step, the next one whenever the file has grown by a byte."""
    for current in range(total):
        self.update_state(state="PROGRESS", meta={"current": current, "total": total})
        self.send_event("task-progress", current=current, total=total)
        while not (Path(path).exists() and Path(path).stat().st_size > current):
            time.sleep(0.01)
    return total


@shared_task(name="lab.tally", bind=True)
def tally(self, path):
    """A line in a file for each time that it runs."""
    with open(path, "a") as file:
        file.write(f"{self.request.id}\n")


@shared_task(name="lab.exit")
def exit_process():
    """Takes its pool process down."""
    os._exit(3)
