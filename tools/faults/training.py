"""Plays a pull request's training script by API calls: the agent runs it in its place."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import requests


def main() -> None:
    plan = json.loads(os.environ["FAULTS_TRAINING"])
    for line in plan["console"]:
        print(line, flush=True)
    if plan["fails"]:
        print("Traceback (most recent call last):\nModuleNotFoundError: No module named 'ray'", flush=True)
        sys.exit(1)
    values = plan["of_commit"].get(os.environ["FAULTS_COMMIT"], plan["values"])
    for iteration, value in enumerate(values):
        _report(iteration, value)
    time.sleep(plan["lasts"])


def _report(iteration: int, value: float) -> None:
    event: dict[str, Any] = {
        "type": "training_stats_scalar",
        "task": os.environ["CLEARML_TASK_ID"],
        "iter": iteration,
        "metric": "accuracy",
        "variant": "validation",
        "value": value,
    }
    keys = (os.environ["CLEARML_API_ACCESS_KEY"], os.environ["CLEARML_API_SECRET_KEY"])
    headers = {"Content-Type": "application/json-lines"}
    url = f"{os.environ['CLEARML_API_HOST']}/events.add_batch"
    for _ in range(20):  # the SDK repeats its reports as well
        try:
            if requests.post(url, data=json.dumps(event), headers=headers, auth=keys, timeout=20).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.5)


if __name__ == "__main__":
    main()
