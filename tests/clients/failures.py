"""Follows a cluster until a task fails; says which one, and the line that failed."""

import json
import subprocess

server = subprocess.Popen(
    ["lazycelery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)


def send(number, method, **params):
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    print(json.dumps(message), file=server.stdin, flush=True)


def messages():
    for line in server.stdout:
        yield json.loads(line)


send(1, "task/subscribe", filter="state:failure", limit=1)
for message in messages():
    if message.get("method") == "task/changed":
        rows = message["params"]["result"]["rows"]
        if rows:
            break
send(2, "task/get", uuid=rows[0]["uuid"])
for message in messages():
    if message.get("id") == 2:
        frame = message["result"]["traceback"]["frames"][-1]
        print(rows[0]["name"], "line", frame["line"], frame["code"])
        break
server.stdin.close()  # the end of its input ends it
server.wait()
