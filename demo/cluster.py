#!/usr/bin/env python3
"""cluster.py REDIS_SERVER COMMAND [ARG…]: runs COMMAND beside a Redis and Celery workers of its own.

The command finds them by CELERY_BROKER_URL and CELERY_RESULT_BACKEND. A second process holds the
cluster and ends it, by SIGKILL, when its standard input ends: when the command has ended, or this
process was killed, however. Nothing is kept.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE = 60  # seconds for all to come up

# Name, pool, processes or threads, queues, further arguments.
WORKERS = [
    ("web-1", "prefork", 2, "celery,high", ["-E"]),
    ("web-2", "threads", 8, "celery,mail", ["-E"]),
    ("reports", "solo", 1, "reports", ["-E"]),
    ("suppliers", "prefork", 2, "suppliers", []),  # sends no task events
]


def main(redis_server, *command):
    keeper = subprocess.Popen(
        [sys.executable, __file__, "--keep", redis_server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        port = keeper.stdout.readline().strip()
        if not port:
            return 1
        url = f"redis://127.0.0.1:{port}"
        surroundings = {"CELERY_BROKER_URL": f"{url}/0", "CELERY_RESULT_BACKEND": f"{url}/1"}
        return subprocess.run(command, env={**os.environ, **surroundings}).returncode
    except KeyboardInterrupt:
        return 130
    finally:
        keeper.stdin.close()
        keeper.wait()


def keep(redis_server):
    """Holds the cluster until standard input ends."""
    for ending in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        signal.signal(ending, lambda *_: sys.exit())
    started = []
    with tempfile.TemporaryDirectory(prefix="lazycelery-demo-") as folder:
        try:
            port = start_cluster(redis_server, Path(folder), started)
            print(port, flush=True)
            sys.stdin.read()
        finally:
            for process in started:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def start_cluster(redis_server, folder, started):
    port = free_port()
    url = f"redis://127.0.0.1:{port}"

    def start(name, *command):
        with open(folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                command,
                cwd=HERE,
                env={
                    **os.environ,
                    "CELERY_BROKER_URL": f"{url}/0",
                    "CELERY_RESULT_BACKEND": f"{url}/1",
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.append(process)
        return name, process

    def log(name):
        return (folder / f"{name}.log").read_text(errors="replace")

    def wait_for(child, text):
        name, process = child
        until = time.monotonic() + PATIENCE
        while text not in log(name):
            if process.poll() is not None or time.monotonic() > until:
                sys.exit(f"demo: {name} did not start:\n{log(name)[-2000:]}")
            time.sleep(0.05)

    say(f"Redis on port {port}")
    memory = ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    redis = start("redis", redis_server, "--bind", "127.0.0.1", "--port", str(port), *memory)
    wait_for(redis, "Ready to accept connections")
    celery = [sys.executable, "-m", "celery", "-A", "shop.app"]
    workers = []
    for name, pool, concurrency, queues, further in WORKERS:
        says = "task events" if "-E" in further else "no task events"
        say(f"worker {name}@shop: {pool} {concurrency}, queues {queues}, {says}")
        size = ["-P", pool, "-c", str(concurrency), "-Q", queues]
        node = ["-n", f"{name}@shop", "--loglevel", "INFO"]
        workers.append(start(name, *celery, "worker", *node, *size, *further))
    for worker in workers:
        wait_for(worker, "ready.")
    start("customers", sys.executable, "-m", "shop.customers")
    return port


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def say(what):
    print(f"demo: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(keep(*arguments[1:]) if arguments[0] == "--keep" else main(*arguments))
