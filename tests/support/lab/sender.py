"""python -m lab.sender MODULE: one JSON request a line in, the ids of what was sent out."""

import importlib
import json
import sys

app = importlib.import_module(sys.argv[1]).app
app.set_default()
app.loader.import_default_modules()
workflows = importlib.import_module("lab.workflows")

for line in sys.stdin:
    request = json.loads(line)
    if "workflow" in request:
        ids = getattr(workflows, request["workflow"])()
    else:
        # By signature where the task is known here, so that its own options count.
        task = app.tasks.get(request["task"])
        send = task.apply_async if task else lambda args, **o: app.send_task(request["task"], args, **o)
        ids = [send(request["args"], **request["options"]).id]
    print(json.dumps(ids), flush=True)
