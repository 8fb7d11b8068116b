#!/bin/sh
# Names the tasks that failed within the last hour.
set -e
lazycelery call task/list '{"filter": "state:failure since:1h", "limit": 1000}' |
  python3 -c 'import json, sys
for task in json.load(sys.stdin)["rows"]:
    print(task["name"], task.get("exception", "?"))'
