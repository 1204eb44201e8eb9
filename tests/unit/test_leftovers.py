from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.decisions import leftovers
from clearml_ci.decisions.leftovers import KnownRun, LiveTask

RUN, OLD = "r" * 32, "d" * 32
PIPELINES = "CI/owner/name/.pipelines/"
RUNS = {RUN: KnownRun(RUN, ended=False), OLD: KnownRun(OLD, ended=True)}
MARKED = LiveTask(
    "t" * 32, "train", "https://clearml/t", "in_progress", "Digits", OLD, controller=False, run=OLD, purpose="probe"
)
UNMARKED = replace(MARKED, run="", purpose="")
CONTROLLER = replace(MARKED, id=RUN, parent="", controller=True, run=RUN, purpose="run")


def find(live: LiveTask) -> list[bool]:
    return [leftover.marked for leftover in leftovers.find([live], RUNS, pipelines=PIPELINES)]


@pytest.mark.parametrize(
    ("base", "changes", "expected"),
    [
        pytest.param(MARKED, {}, [True], id="probe of an ended run"),
        pytest.param(MARKED, {"purpose": "step", "status": "queued"}, [True], id="queued step of an ended run"),
        pytest.param(MARKED, {"run": RUN, "parent": RUN}, [], id="probe of a living run"),
        pytest.param(MARKED, {"run": "x" * 32}, [], id="of another repository's run, or of one that is gone"),
        pytest.param(MARKED, {"run": "x" * 32, "project": PIPELINES + "pr_check"}, [True], id="step of a deleted run"),
        pytest.param(MARKED, {"run": "x" * 32, "project": "CI/a/b/.pipelines/c"}, [], id="another repository's step"),
        pytest.param(UNMARKED, {}, [False], id="clone of a probe"),
        pytest.param(UNMARKED, {"parent": RUN}, [], id="unmarked child of a living run"),
        pytest.param(UNMARKED, {"parent": ""}, [], id="a user's training"),
        pytest.param(UNMARKED, {"parent": "x" * 32}, [], id="a user's child task"),
        pytest.param(UNMARKED, {"parent": "x" * 32, "project": PIPELINES + "pr_check"}, [False], id="run is gone"),
        pytest.param(UNMARKED, {"controller": True}, [], id="queued rerun, a child of the first run"),
        pytest.param(CONTROLLER, {}, [], id="living controller"),
        pytest.param(CONTROLLER, {"superseded_by": OLD}, [True], id="superseded controller"),
        pytest.param(CONTROLLER, {"superseded_by": OLD, "id": "x", "run": "x"}, [], id="another's controller"),
    ],
)
def test_find__living_task__is_ours_by_its_mark_alone(
    base: LiveTask, changes: dict[str, Any], expected: list[bool]
) -> None:
    assert find(replace(base, **changes)) == expected


@pytest.mark.parametrize(
    ("live", "stopped", "kind", "words"),
    [
        pytest.param(MARKED, True, "leftover", "the audit stopped it, because it carries our mark", id="stopped"),
        pytest.param(MARKED, False, "leftover", "the audit did not stop it", id="not cleaned up"),
        pytest.param(
            UNMARKED,
            False,
            "unmarked_leftover",
            "the audit did not stop it, because it does not carry our mark",
            id="unmarked",
        ),
    ],
)
def test_finding__leftover__states_what_was_done(live: LiveTask, stopped: bool, kind: str, words: str) -> None:
    (left,) = leftovers.find([live], RUNS, pipelines=PIPELINES)
    found = leftovers.finding(left, stopped=stopped)
    assert (found.kind, found.severity, found.subject.url) == (kind, "finding", live.url)
    assert words in found.message
