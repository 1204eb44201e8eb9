"""Starts an audit of the sandbox's repository, as a schedule does, and says which run that is.

A program of its own: the SDK keeps the server's address for the life of a process.
"""

from __future__ import annotations

import json
import sys

from clearml_ci import clearml_gateway, clearml_schedule, schedule
from clearml_ci.clearml_schedule import Wanted
from clearml_ci.source import Source


def main() -> None:
    given = json.load(sys.stdin)
    wanted = Wanted(
        project=given["project"],
        when=schedule.parse("daily 00:00"),
        controllers=given["controllers"],
        source=Source(given["repository"], given["commit"]),
        arguments=given["arguments"],
    )
    run = clearml_schedule.start_audit(clearml_gateway.connect(), wanted)
    print(run)  # noqa: T201  the last line is the answer


if __name__ == "__main__":
    main()
