"""`make demo`: play scenarios in a sandbox of its own, show each event, and write a record."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from sandbox.runtime import child, environment, stop_previous
from sandbox.runtime.child import ChildError
from sandbox.runtime.clearml_access import Access, ClearMLError
from sandbox.runtime.laptop import LaptopError
from sandbox.runtime.state import Sandbox
from sandbox.scenarios import catalogue, job, story
from sandbox.scenarios.audits import Audited
from sandbox.scenarios.catalogue import Scenario
from sandbox.scenarios.story import Checked, Story, StoryError

BUILD = Path(__file__).parent.parent / "build"
SANDBOX = BUILD / "sandbox"
OUTPUT = BUILD / "demo"
EVERY: dict[str, Scenario[Any]] = {**catalogue.EVERY, **catalogue.AUDITS}


@dataclass(frozen=True)
class Played:
    """A scenario that was played, and its differences from the known end."""

    name: str
    checked: Checked | Audited
    differences: tuple[str, ...]


def main() -> int:
    options = parse()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # SIGINT too: a shell's background jobs are started with it ignored
    try:
        return _demo(options)
    except (job.CheckoutError, ChildError, ClearMLError, StoryError, LaptopError) as error:
        show(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        show("interrupted; everything that was started has been stopped")
        return 130


def show(line: str = "") -> None:
    print(line, flush=True)  # noqa: T201


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of a command line, by default of this process's."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every scenario, not only the short story")
    parser.add_argument("--scenario", choices=sorted(EVERY), help="only this one")
    parser.add_argument("--keep", action="store_true", help="leave servers and agents up at the end")
    parser.add_argument(
        "--server", choices=[environment.EMBEDDED, environment.OF_THE_ENVIRONMENT], default=environment.EMBEDDED
    )
    return parser.parse_args(arguments)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _demo(options: argparse.Namespace) -> int:
    began = time.monotonic()
    _show_code()
    if options.server == environment.OF_THE_ENVIRONMENT:
        Access.from_environment()  # before a sandbox that stays up is ended for nothing
    if stop_previous.stop(SANDBOX):
        show("ended a sandbox that was still running")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    show("starting ClearML server, GitHub and agents ...")
    with child.running(SANDBOX, server=options.server, keep=options.keep, progress=show) as sandbox:
        played = _play(sandbox, chosen(options))
        _conclude(played, time.monotonic() - began)
        if options.keep:
            _describe(sandbox, played)
    return 1 if any(scenario.differences for scenario in played) else 0


def _show_code() -> None:
    repository, commit, changed = job.code_of_agents()
    show(f"agents run ClearML CI at commit {commit[:10]} of {repository}")
    if changed:
        show("NOTE: this checkout has uncommitted changes; the agents do not run them, only the trigger here does")


def chosen(options: argparse.Namespace) -> dict[str, Scenario[Any]]:
    """Return the scenarios to play, by name, in their order."""
    if options.scenario:
        return {options.scenario: EVERY[options.scenario]}
    return EVERY if options.all else dict(catalogue.SHORT_STORY)


def _play(sandbox: Sandbox, scenarios: dict[str, Scenario[Any]]) -> list[Played]:
    played: list[Played] = []
    tale = story.begin(sandbox, lambda line: show(f"    {line}"))
    for number, (name, scenario) in enumerate(scenarios.items(), start=1):
        show(f"\n[{number}/{len(scenarios)}] {name}: {_end(scenario)}")
        played.append(_play_one(tale, name, scenario))
        _write_record(played)
    return played


def _end(scenario: Scenario[Any]) -> str:
    return f"expected {scenario.outcome}, exit {scenario.exit_code}"


def _play_one(tale: Story, name: str, scenario: Scenario[Any]) -> Played:
    checked = scenario.play(tale)
    story.save_comment(checked.comments, _comment_file(name))
    show(_comment_file(name).read_text())
    played = Played(name, checked, tuple(differences(scenario, checked)))
    for difference in played.differences:
        show(f"  DIFFERS: {name}: {difference}")
    return played


def _comment_file(name: str) -> Path:
    return OUTPUT / f"{name}.md"


def differences(scenario: Scenario[Any], checked: Checked | Audited) -> list[str]:
    """Return the differences of a check from the known end of its scenario, one sentence each."""
    seen: list[tuple[str, Any, Any]] = [
        ("outcome", scenario.outcome, checked.verdict["outcome"]),
        (
            "outcome among the job's outputs",
            scenario.outcome if scenario.waits else None,
            checked.job.outputs.get("outcome"),
        ),
        ("commit of the verdict", checked.commit, checked.verdict["commit"]),
        ("exit code", scenario.exit_code, checked.job.exit_code),
        ("commit status", scenario.status, checked.status),
        ("number of comments", scenario.comments, len(checked.comments)),
        ("comment that names the commit", True, all(checked.commit[:7] in text for text in checked.comments)),
        *((f"comment that mentions '{words}'", True, words in _text(checked)) for words in scenario.mentions),
    ]
    return [f"{what} is {actual}, expected {expected}" for what, expected, actual in seen if actual != expected]


def _text(checked: Checked | Audited) -> str:
    """Return the comments as a reader sees them, without the backslashes of escaped Markdown."""
    return "\n".join(checked.comments).replace("\\", "")


def _write_record(played: Sequence[Played]) -> None:
    record = [_record(scenario) for scenario in played]
    (OUTPUT / "record.json").write_text(json.dumps(record, indent=2) + "\n")


def _record(scenario: Played) -> dict[str, Any]:
    return {
        "scenario": scenario.name,
        "event": scenario.checked.event,
        "exit_code": scenario.checked.job.exit_code,
        "outcome": scenario.checked.verdict["outcome"],
        "verdict": scenario.checked.verdict,
        "pipeline_id": scenario.checked.job.outputs["pipeline_id"],
        "comment_file": _comment_file(scenario.name).name,
        "seconds": round(scenario.checked.job.seconds, 2),
        "clearml_requests": _requests(scenario.checked),
    }


def _requests(checked: Checked | Audited) -> int:
    sent = checked.verdict.get("clearml_requests", {})
    return sum(sent.get(step, 0) for step in ("find_task", "compare"))


def _conclude(played: Sequence[Played], total: float) -> None:
    rows = [
        (
            scenario.name,
            scenario.checked.verdict["outcome"],
            scenario.checked.job.exit_code,
            scenario.checked.job.seconds,
            _requests(scenario.checked),
            "differs" if scenario.differences else "as expected",
        )
        for scenario in played
    ]
    headers = ("scenario", "outcome", "exit", "seconds", "requests", "result")
    show("\n" + tabulate(rows, headers=headers, floatfmt=".1f"))
    show(f"\nrecord: {OUTPUT / 'record.json'}, comments beside it")
    _show_speed(played, total)


def _show_speed(played: Sequence[Played], total: float) -> None:
    """Show the slowest times. The limit is for the short story: code of a pull request takes as long as it takes."""
    seconds = [scenario.checked.job.seconds for scenario in played if scenario.name in catalogue.SHORT_STORY]
    enqueued = [scenario.checked.job.enqueued_seconds or 0.0 for scenario in played]
    requests = [_requests(scenario.checked) for scenario in played]
    if seconds:
        median = statistics.median(seconds)
        show(f"trigger to verdict: slowest {max(seconds):.1f} s, median {median:.1f} s (limit 20 s)")
    show(f"trigger start to enqueued: slowest {max(enqueued):.1f} s (limit 2 s)")
    show(f"ClearML requests of find_task and compare: at most {max(requests)}")
    show(f"demo: {total:.0f} s in all")


def _describe(sandbox: Sandbox, played: Sequence[Played]) -> None:
    show("\nservers and agents stay up (KEEP=1):")
    for scenario in played:
        show(f"  {scenario.name}: {scenario.checked.page}")
    show(f"  ClearML pages: {sandbox.clearml.web_url}")
    show(f"  addresses, keys and tokens: {sandbox.directory / 'sandbox.json'}")
    show("end them with: make stop (the next make demo ends them, too)")


if __name__ == "__main__":
    sys.exit(main())
