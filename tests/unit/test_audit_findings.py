from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import audit_findings
from clearml_ci.decisions.audit_findings import Finding, Queue, Subject, Template
from clearml_ci.decisions.promotion import Move
from tests.unit.drawing import COMMIT, MOVE, TASK, as_read, task

HOME = Subject("project", "owner/name", "")
QUEUE = Queue("ci-code", "https://clearml/queues", exists=True, workers=1, entries=0, waits=0.0)
TAG = "Best Performance"


def kinds(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind, finding.severity) for finding in found]


def check_baselines(*tagged: RecordedTask, on_main: Mapping[str, bool | None] | None = None) -> list[Finding]:
    return audit_findings.check_baselines(tagged, tag=TAG, on_default={COMMIT: True} if on_main is None else on_main)


@pytest.mark.parametrize(
    ("tagged", "expected"),
    [
        pytest.param([TASK], [], id="one clean best"),
        pytest.param([TASK, task(id="2")], [("several_bests", "finding")], id="two"),
        pytest.param([TASK, task(id="2", name="other")], [], id="two of different names"),
        pytest.param([TASK, task(id="2", project_id="q")], [], id="two in different projects"),
        pytest.param([task(archived=True)], [("archived_best", "finding")], id="archived"),
        pytest.param([TASK, task(id="2", archived=True)], [("archived_best", "finding")], id="one of two archived"),
        pytest.param([task(status="failed")], [("unsuccessful_best", "finding")], id="failed"),
        pytest.param([TASK, task(id="2", status="created")], [("copied_tag", "note")], id="a clone's copy"),
        pytest.param([TASK, task(id="2", copied_from=TASK.id)], [("copied_tag", "note")], id="a finished clone's copy"),
        pytest.param([task(diff="-a\n+b")], [("uncommitted", "finding")], id="dirty"),
        pytest.param([task(diff="+Task.init()", purpose="training")], [], id="trained by a check, which added a call"),
        pytest.param([task(commit="")], [("no_commit", "finding")], id="no commit"),
        pytest.param([], [], id="none"),
    ],
)
def test_check_baselines__tagged_tasks__are_one_for_each_project_and_name(
    tagged: list[RecordedTask], expected: list[tuple[str, str]]
) -> None:
    assert kinds(check_baselines(*tagged)) == expected


@pytest.mark.parametrize(
    ("on_main", "expected"),
    [
        pytest.param({COMMIT: True}, [], id="on main"),
        pytest.param({COMMIT: False}, [("off_main", "finding")], id="elsewhere"),
        pytest.param({COMMIT: None}, [("unknown_commit", "note")], id="unknown"),
        pytest.param({}, [], id="not looked up"),
    ],
)
def test_check_baselines__commit__is_a_finding_only_if_it_is_off_the_default_branch(
    on_main: Mapping[str, bool | None], expected: list[tuple[str, str]]
) -> None:
    assert kinds(check_baselines(TASK, on_main=on_main)) == expected


def test_check_baselines__two__names_both_and_the_remedy() -> None:
    (found,) = check_baselines(TASK, task(id="2" * 32))
    assert TASK.id in found.message and "2" * 32 in found.message
    assert (found.subject.name, found.subject.url) == ("Digits/train digits", TASK.url)


def move(**changes: Any) -> Move:
    """As drawn, it gave the tag to TASK."""
    return replace(MOVE, **changes)


OTHER = task(id="2" * 32)
OLDER = move(to="0" * 32, previous=())


@pytest.mark.parametrize(
    ("moves", "tagged", "expected"),
    [
        pytest.param([move()], [TASK], [], id="still there"),
        pytest.param([move()], [task(archived=True)], [], id="archived, which is a finding of its own"),
        pytest.param([move()], [], [("lost_best", "finding")], id="deleted or untagged"),
        pytest.param([move()], [task(id="2", archived=True)], [("lost_best", "finding")], id="no other that counts"),
        pytest.param([move()], [OTHER], [("moved_by_hand", "note")], id="moved by hand"),
        pytest.param(
            [move()], [replace(OTHER, name="x")], [("lost_best", "finding")], id="another name is another best"
        ),
        pytest.param([move(task_name="")], [TASK], [], id="check without a name"),
        pytest.param(
            [move(task_name="")], [replace(OTHER, name="x")], [("moved_by_hand", "note")], id="no name, by hand"
        ),
        pytest.param([move(), OLDER], [TASK], [], id="the newest counts"),
        pytest.param(
            [move(to=OTHER.id, previous=(TASK.id,), task_name=""), move()], [OTHER], [], id="moved on, nameless"
        ),
        pytest.param([move(state="lost"), OLDER], [task(id="0" * 32)], [], id="one that lost is none"),
        pytest.param([move(state="moving")], [task(id="0" * 32)], [], id="interrupted before it tagged"),
        pytest.param([move(state="moving")], [OTHER], [], id="interrupted, and another came"),
        pytest.param([move(state="moving")], [], [("lost_best", "finding")], id="interrupted, and all are gone"),
        pytest.param([move(to="0" * 32, previous=(TASK.id,)), move()], [task(id="0" * 32)], [], id="rolled back"),
        pytest.param([move(tag="other")], [], [], id="another tag"),
        pytest.param([move(project_id="q")], [], [], id="a project that is not looked at"),
    ],
)
def test_lost_baselines__ledger__is_compared_with_the_tags(
    moves: list[Move], tagged: list[RecordedTask], expected: list[tuple[str, str]]
) -> None:
    assert kinds(lost(moves, tagged)) == expected


def lost(moves: list[Move], tagged: list[RecordedTask], *, task_name: str = "") -> list[Finding]:
    return audit_findings.lost_baselines(moves, tagged, tag=TAG, task_name=task_name, projects={TASK.project_id: HOME})


@pytest.mark.parametrize(("name", "expected"), [(TASK.name, 1), ("other", 0)])
def test_lost_baselines__audit_of_one_name__leaves_the_others_alone(name: str, expected: int) -> None:
    assert len(lost([move(), move(task_name="", to="3" * 32)], [], task_name=name)) == expected


def test_lost_baselines__deleted__names_the_task_and_its_pull_request() -> None:
    (found,) = lost([move()], [])
    assert found.subject == HOME
    assert TASK.id in found.message and "#7" in found.message and "ci_trigger.py rollback" in found.remedy


def test_missing_baselines__project_without_one__is_a_note() -> None:
    projects = [Subject("project", TASK.project, ""), Subject("project", "Empty", "")]
    found = audit_findings.missing_baselines(projects, [TASK], tag=TAG)
    assert [(finding.severity, finding.subject.name) for finding in found] == [("note", "Empty")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, [], id="served"),
        pytest.param({"workers": 0}, ["no_workers"], id="no worker"),
        pytest.param({"exists": False, "workers": 0}, ["no_queue"], id="no such queue"),
        pytest.param({"entries": 3, "waits": 3601.0}, ["long_wait"], id="long wait"),
        pytest.param({"entries": 3, "waits": 3600.0}, [], id="just in time"),
    ],
)
def test_check_queues__queue__is_served_in_time(changes: dict[str, Any], expected: list[str]) -> None:
    found = audit_findings.check_queues([replace(QUEUE, **changes)], longest_wait=3600.0)
    assert [finding.kind for finding in found] == expected


def test_check_queues__without_a_worker__has_the_command_that_starts_one_in_a_closed_folder() -> None:
    (found,) = audit_findings.check_queues([replace(QUEUE, workers=0, name="ci steps")], longest_wait=3600.0)
    command = "TMPDIR=$(mktemp -d) clearml-agent daemon --detached --queue 'ci steps'"
    assert found.remedy == f"start an agent: CLEARML_WORKER_ID=$(hostname):'ci steps' {command}"


DAY = 86_400.0


@pytest.mark.parametrize(
    ("templates", "message"),
    [
        pytest.param([Template("own", 10.0)], None, id="the own alone"),
        pytest.param(
            [Template("own", DAY), Template("old", 5 * DAY), Template("older", 9 * DAY)],
            "2 drafts of old versions of ClearML CI, the oldest of 9 days ago",
            id="older ones",
        ),
        pytest.param([Template("own", 5 * DAY), Template("new", DAY)], None, id="newer one, seen by an older schedule"),
        pytest.param(
            [Template("own", DAY), Template("own", 5 * DAY), Template("new", 3 * DAY)],
            None,
            id="newer than the first draft of the own version",
        ),
        pytest.param([Template("other", DAY)], None, id="own draft was deleted: the order is unknown"),
    ],
)
def test_check_templates__drafts_older_than_the_running_versions_own__are_a_note(
    templates: list[Template], message: str | None
) -> None:
    found = audit_findings.check_templates(HOME, templates, commit="own")
    assert [(finding.severity, finding.message) for finding in found] == ([("note", message)] if message else [])


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        pytest.param({"outcome": "passed"}, 0, id="runs"),
        pytest.param({"outcome": "not_needed"}, 0, id="not asked for"),
        pytest.param({"outcome": "no_evidence", "phase": "import", "reason": "no ray"}, 1, id="does not run"),
        pytest.param({"outcome": "error", "phase": "queue", "reason": "no worker"}, 1, id="could not be tried"),
    ],
)
def test_check_probe__result__is_a_finding_unless_it_runs(result: dict[str, Any], expected: int) -> None:
    found = audit_findings.check_probe(as_read({"commit": COMMIT, "task": None, **result}), HOME)
    assert len(found) == expected
    assert all(result["reason"] in finding.message and result["phase"] in finding.message for finding in found)


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        pytest.param([], ("passed", "no findings"), id="nothing"),
        pytest.param(["note"], ("passed", "no findings; 1 note"), id="notes alone"),
        pytest.param(["finding", "finding"], ("regressed", "2 findings: no workers"), id="findings"),
        pytest.param(["finding", "note"], ("regressed", "1 finding: no workers; 1 note"), id="both"),
    ],
)
def test_summarize__findings__turn_the_outcome_and_notes_do_not(
    severities: list[str], expected: tuple[str, str]
) -> None:
    findings: list[Any] = [{"severity": severity, "kind": "no_workers"} for severity in severities]
    assert audit_findings.summarize(findings) == expected


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        pytest.param(["note"], ("inconclusive", "no findings, but it is dark; 1 note"), id="nothing found"),
        pytest.param(["finding"], ("regressed", "1 finding: no workers; it is dark"), id="findings"),
    ],
)
def test_summarize__what_could_not_be_looked_at__is_never_green(
    severities: list[str], expected: tuple[str, str]
) -> None:
    findings: list[Any] = [{"severity": severity, "kind": "no_workers"} for severity in severities]
    assert audit_findings.summarize(findings, unseen=["it is dark"]) == expected
