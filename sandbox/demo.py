"""`make demo`: runs scenarios in a sandbox of its own, shows what happens, and keeps a record of it."""

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
    """A scenario that was played, and in what it differs from the end that it should have."""

    name: str
    checked: Checked | Audited
    differences: tuple[str, ...]


def main() -> int:
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # SIGINT too: a shell's background jobs are started with it ignored
    try:
        return _demo(options)
    except (job.CheckoutError, ChildError, ClearMLError, StoryError, LaptopError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; everything that was started has been stopped")
        return 130


def say(line: str = "") -> None:
    print(line, flush=True)  # noqa: T201


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.demo", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every scenario, not only the short story")
    parser.add_argument("--scenario", choices=sorted(EVERY), help="only this one")
    parser.add_argument("--keep", action="store_true", help="leave servers and agents up at the end")
    parser.add_argument(
        "--server", choices=[environment.EMBEDDED, environment.OF_THE_ENVIRONMENT], default=environment.EMBEDDED
    )
    return parser.parse_args()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _demo(options: argparse.Namespace) -> int:
    began = time.monotonic()
    _tell_code()
    if options.server == environment.OF_THE_ENVIRONMENT:
        Access.from_environment()  # before a sandbox that stays up is ended for nothing
    if stop_previous.stop(SANDBOX):
        say("ended a sandbox that was still running")
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    say("starting ClearML server, GitHub and agents ...")
    with child.running(SANDBOX, server=options.server, keep=options.keep, progress=say) as sandbox:
        played = _play(sandbox, _chosen(options))
        _conclude(played, time.monotonic() - began)
        if options.keep:
            _describe(sandbox, played)
    return 1 if any(one.differences for one in played) else 0


def _tell_code() -> None:
    repository, commit, changed = job.code_of_agents()
    say(f"agents run ClearML CI at commit {commit[:10]} of {repository}")
    if changed:
        say("NOTE: this checkout has uncommitted changes; the agents do not run them, only the trigger here does")


def _chosen(options: argparse.Namespace) -> dict[str, Scenario[Any]]:
    if options.scenario:
        return {options.scenario: EVERY[options.scenario]}
    return EVERY if options.all else dict(catalogue.SHORT_STORY)


def _play(sandbox: Sandbox, chosen: dict[str, Scenario[Any]]) -> list[Played]:
    played: list[Played] = []
    tale = story.begin(sandbox, lambda line: say(f"    {line}"))
    for number, (name, scenario) in enumerate(chosen.items(), start=1):
        say(f"\n[{number}/{len(chosen)}] {name}: {_end(scenario)}")
        played.append(_play_one(tale, name, scenario))
        _write_record(played)
    return played


def _end(scenario: Scenario[Any]) -> str:
    return f"expected {scenario.outcome}, exit {scenario.exit_code}"


def _play_one(tale: Story, name: str, scenario: Scenario[Any]) -> Played:
    checked = scenario.play(tale)
    story.save_comment(checked.comments, _comment_file(name))
    say(_comment_file(name).read_text())
    played = Played(name, checked, tuple(differences(scenario, checked)))
    for difference in played.differences:
        say(f"  DIFFERS: {name}: {difference}")
    return played


def _comment_file(name: str) -> Path:
    return OUTPUT / f"{name}.md"


def differences(scenario: Scenario[Any], checked: Checked | Audited) -> list[str]:
    """In what a check differs from the end that its scenario has, one sentence each."""
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
        *((f"comment that says '{words}'", True, words in _text(checked)) for words in scenario.says),
    ]
    return [f"{what} is {actual}, expected {expected}" for what, expected, actual in seen if actual != expected]


def _text(checked: Checked | Audited) -> str:
    """As a reader sees it, without the backslashes that keep it from being Markdown."""
    return "\n".join(checked.comments).replace("\\", "")


def _write_record(played: Sequence[Played]) -> None:
    record = [_record(one) for one in played]
    (OUTPUT / "record.json").write_text(json.dumps(record, indent=2) + "\n")


def _record(one: Played) -> dict[str, Any]:
    return {
        "scenario": one.name,
        "event": one.checked.event,
        "exit_code": one.checked.job.exit_code,
        "outcome": one.checked.verdict["outcome"],
        "verdict": one.checked.verdict,
        "pipeline_id": one.checked.job.outputs["pipeline_id"],
        "comment_file": _comment_file(one.name).name,
        "seconds": round(one.checked.job.seconds, 2),
        "clearml_requests": _requests(one.checked),
    }


def _requests(checked: Checked | Audited) -> int:
    sent = checked.verdict.get("clearml_requests", {})
    return sum(sent.get(step, 0) for step in ("find_task", "compare"))


def _conclude(played: Sequence[Played], total: float) -> None:
    rows = [
        (
            one.name,
            one.checked.verdict["outcome"],
            one.checked.job.exit_code,
            one.checked.job.seconds,
            _requests(one.checked),
            "differs" if one.differences else "as expected",
        )
        for one in played
    ]
    headers = ("scenario", "outcome", "exit", "seconds", "requests", "result")
    say("\n" + tabulate(rows, headers=headers, floatfmt=".1f"))
    say(f"\nrecord: {OUTPUT / 'record.json'}, comments beside it")
    _tell_speed(played, total)


def _tell_speed(played: Sequence[Played], total: float) -> None:
    """The limit is for the short story: code of the pull request's own takes as long as it takes."""
    seconds = [one.checked.job.seconds for one in played if one.name in catalogue.SHORT_STORY]
    enqueued = [one.checked.job.enqueued_seconds or 0.0 for one in played]
    requests = [_requests(one.checked) for one in played]
    if seconds:
        say(f"trigger to verdict: slowest {max(seconds):.1f} s, median {statistics.median(seconds):.1f} s (limit 20 s)")
    say(f"trigger start to enqueued: slowest {max(enqueued):.1f} s (limit 2 s)")
    say(f"ClearML requests of find_task and compare: at most {max(requests)}")
    say(f"demo: {total:.0f} s in all")


def _describe(sandbox: Sandbox, played: Sequence[Played]) -> None:
    say("\nservers and agents stay up (KEEP=1):")
    for one in played:
        say(f"  {one.name}: {one.checked.page}")
    say(f"  ClearML pages: {sandbox.clearml.web_url}")
    say(f"  addresses, keys and tokens: {sandbox.directory / 'sandbox.json'}")
    say("end them with: make stop (the next make demo ends them, too)")


if __name__ == "__main__":
    sys.exit(main())
