from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.decisions import leftovers
from clearml_ci.decisions.leftovers import Draft, KnownRun, LiveTask

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
        pytest.param(CONTROLLER, {"silent": 601.0}, [True], id="controller that died"),
        pytest.param(CONTROLLER, {"silent": 599.0}, [], id="controller that was silent for a while"),
        pytest.param(CONTROLLER, {"silent": 601.0, "status": "queued"}, [], id="controller that waits for its agent"),
        pytest.param(CONTROLLER, {"silent": 601.0, "id": "x", "run": "x"}, [], id="another's controller that died"),
        pytest.param(CONTROLLER, {"superseded_by": OLD, "id": "x", "run": "x"}, [], id="another's controller"),
    ],
)
def test_find__living_task__is_ours_by_its_mark_alone(
    base: LiveTask, changes: dict[str, Any], expected: list[bool]
) -> None:
    assert find(replace(base, **changes)) == expected


ENDED_AT = "2026-01-02T12:00:00+00:00"
BEFORE, SOON, AFTER = "2026-01-02T11:00:00+00:00", "2026-01-02T12:00:30+00:00", "2026-01-02T13:00:00+00:00"


@pytest.mark.parametrize(
    ("changes", "stoppable"),
    [
        pytest.param({}, True, id="times are unknown"),
        pytest.param({"started": BEFORE, "status_changed": BEFORE}, True, id="runs since before the end"),
        pytest.param({"started": BEFORE, "status_changed": SOON}, True, id="was starting as its run ended"),
        pytest.param({"started": AFTER, "status_changed": AFTER}, True, id="an agent took it after the end"),
        pytest.param({"started": BEFORE, "status_changed": AFTER, "stopping": True}, True, id="is being stopped"),
        pytest.param({"status": "queued", "status_changed": BEFORE}, True, id="waits since before the end"),
        pytest.param({"started": BEFORE, "status_changed": AFTER}, False, id="continued after an abort"),
        pytest.param({"started": BEFORE, "completed": BEFORE}, False, id="continued after its end"),
        pytest.param({"status": "queued", "started": BEFORE}, False, id="enqueued once more"),
    ],
)
def test_find__task_that_a_user_started_again__is_named_and_not_stopped(
    changes: dict[str, Any], *, stoppable: bool
) -> None:
    runs = {OLD: replace(RUNS[OLD], ended_at=ENDED_AT)}
    (left,) = leftovers.find([replace(MARKED, **changes)], runs, pipelines=PIPELINES)
    assert left.may_be_stopped is stoppable
    said = leftovers.finding(left, stopped=False).message
    assert ("a user started it again" in said) is not stoppable


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


DRAFT = Draft("t" * 32, "train", "https://clearml/t", "Digits", OLD, "probe", PIPELINES + "pr_check")
UNFINISHED = replace(DRAFT, purpose="draft", complete=False)


@pytest.mark.parametrize(
    ("base", "changes", "expected"),
    [
        pytest.param(DRAFT, {}, [True], id="probe of an ended run"),
        pytest.param(DRAFT, {"run": RUN}, [], id="probe of a living run"),
        pytest.param(DRAFT, {"run": "x" * 32}, [True], id="its run was deleted"),
        pytest.param(DRAFT, {"run": "x" * 32, "made_in": "CI/a/b/.pipelines/c"}, [], id="another repository's"),
        pytest.param(DRAFT, {"run": "x" * 32, "made_in": ""}, [], id="its run and step are gone, or another's"),
        pytest.param(UNFINISHED, {}, [True], id="unfinished, of an ended run"),
        pytest.param(UNFINISHED, {"ours": False}, [False], id="unfinished, of another user"),
        pytest.param(UNFINISHED, {"run": RUN}, [], id="unfinished, of a living run"),
        pytest.param(UNFINISHED, {"run": "", "made_in": ""}, [True], id="unfinished, its step was deleted"),
        pytest.param(
            UNFINISHED, {"run": "", "made_in": "", "ours": False}, [], id="a user's name that looks like ours"
        ),
        pytest.param(UNFINISHED, {"run": "x" * 32, "made_in": "Other"}, [], id="named after another's task"),
    ],
)
def test_find_drafts__never_started__is_ours_by_mark_or_name(
    base: Draft, changes: dict[str, Any], expected: list[bool]
) -> None:
    drafts = [replace(base, **changes)]
    assert [left.marked for left in leftovers.find_drafts(drafts, RUNS, pipelines=PIPELINES)] == expected


@pytest.mark.parametrize(
    ("draft", "deleted", "said"),
    [
        pytest.param(DRAFT, True, "a probe that was never started although its run dd", id="complete"),
        pytest.param(DRAFT, True, "; the audit deleted it, because it carries our mark", id="its mark"),
        pytest.param(DRAFT, False, "; the audit did not delete it", id="not cleaned up"),
        pytest.param(UNFINISHED, True, "; the audit deleted it, because it carries our name", id="its name"),
        pytest.param(
            replace(UNFINISHED, ours=False), False, "not delete it, because another user made it", id="foreign"
        ),
    ],
)
def test_finding__draft__states_what_was_done(draft: Draft, *, deleted: bool, said: str) -> None:
    (left,) = leftovers.find_drafts([draft], RUNS, pipelines=PIPELINES)
    assert said in leftovers.finding(left, stopped=deleted).message


@pytest.mark.parametrize(("archived", "severity"), [(True, "note"), (False, "finding")])
def test_finding__archived_draft__is_a_note(*, archived: bool, severity: str) -> None:
    (left,) = leftovers.find_drafts([replace(DRAFT, archived=archived)], RUNS, pipelines=PIPELINES)
    assert leftovers.finding(left, stopped=True).severity == severity
