#!/usr/bin/env bash
# Counts the lines of each label in logs: examples/triage.sh docs/samples/service.log
set -euo pipefail
local-llm-agent classify --json --split line --paths "$@" \
  --labels "login,payment,database,resources,start" | python3 -c '
import json, sys

answer = json.load(sys.stdin)
if "error" in answer:
    sys.exit(answer["error"]["message"])
for label, count in answer["counts"].items():
    print(f"{count:6} {label}")
'
