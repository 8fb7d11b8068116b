"""python -m lab.elder: what a worker of Celery 3.1 says of itself, by Celery's own remote control and
events. It reads `old`, and takes nothing from it."""

import socket

from celery import Celery

SOFTWARE = {"sw_ident": "py-celery", "sw_ver": "3.1.26", "sw_sys": "Linux"}
QUEUE = {"name": "old", "routing_key": "old", "exchange": {"name": "old", "type": "direct"}}

app = Celery("lab")


def ping(state, **kwargs):
    return {"ok": "pong"}


def active_queues(state, **kwargs):
    return [QUEUE]


with app.connection_for_read() as connection:
    handlers = {"ping": ping, "active_queues": active_queues}
    channel = connection.channel()
    node = app.control.mailbox.Node("elder@lab", handlers=handlers, channel=channel)
    node.listen(callback=node.handle_message)
    events = app.events.Dispatcher(connection, hostname="elder@lab")
    while True:
        events.send("worker-heartbeat", freq=2, active=0, processed=0, loadavg=[0, 0, 0], **SOFTWARE)
        try:
            connection.drain_events(timeout=0.5)
        except socket.timeout:
            pass
