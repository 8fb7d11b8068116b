"""python -m lab.sender MODULE: one JSON request a line in; out come the ids of what was sent, or what was
asked for: the state and result of an id, the answers of workers to an inspect method."""

import importlib
import json
import sys

app = importlib.import_module(sys.argv[1]).app
app.set_default()
app.loader.import_default_modules()
workflows = importlib.import_module("lab.workflows")

for line in sys.stdin:
    request = json.loads(line)
    if "result" in request:
        result = app.AsyncResult(request["result"])
        ids = [result.state, json.loads(json.dumps(result.result, default=repr))]
    elif "inspect" in request:
        ids = getattr(app.control.inspect(timeout=5, limit=request["workers"]), request["inspect"])()
    elif "workflow" in request:
        ids = getattr(workflows, request["workflow"])(*request.get("args", []))
    else:
        # By signature where the task is known here, so that its own options count.
        task = app.tasks.get(request["task"])
        send = task.apply_async if task else lambda args, **o: app.send_task(request["task"], args, **o)
        ids = [send(request["args"], **request["options"]).id]
    print(json.dumps(ids), flush=True)
