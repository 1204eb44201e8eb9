from dataclasses import replace

import pytest

from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import reference_findings, reference_tags
from clearml_ci.decisions.audit_findings import Subject
from clearml_ci.decisions.reference_tags import Carriers, Change
from tests.unit.drawing import TASK, task

BEST = "Best Performance"
NAMES = reference_tags.names(BEST)
PROJECT = Subject("project", TASK.project, "https://clearml/projects/p")
PROJECTS = {TASK.project_id: PROJECT}


def change(before: Carriers, after: Carriers, *, renewed: str = "", made: bool = True, undone: bool = False) -> Change:
    return Change("run", before, after, renewed, BEST, TASK.project_id, TASK.name, "", made, undone)


OLD = Carriers(("a",))
FILLED = change(OLD, Carriers(("a", "b")))
FILLED_MORE = change(Carriers(("a", "b")), Carriers(("a", "b", "c")))
RENEWED = change(Carriers(("a", "b")), Carriers((), ("g",), ("a", "b")), renewed="a gain")
SINCE = change(RENEWED.after, Carriers(("h",), ("g",), ("a", "b")))


def undone(change: Change) -> Change:
    return replace(change, undone=True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([FILLED_MORE, FILLED], FILLED_MORE.after),
        ([FILLED_MORE, undone(FILLED)], Carriers(("a", "c"))),
        ([undone(FILLED_MORE), FILLED], FILLED.after),
        ([undone(FILLED)], OLD),
        ([SINCE, RENEWED, FILLED], SINCE.after),
        ([undone(RENEWED), FILLED], FILLED.after),
        ([SINCE, undone(RENEWED), FILLED], FILLED.after),
        ([FILLED_MORE, undone(RENEWED), FILLED], FILLED_MORE.after),
        ([undone(SINCE), undone(RENEWED), undone(FILLED)], OLD),
    ],
    ids=[
        "filled",
        "an earlier one undone",
        "the last undone",
        "the only one undone",
        "renewed and filled",
        "renewal undone",
        "renewal undone with what came since",
        "renewal undone, and filled since",
        "all undone",
    ],
)
def test_expected__changes__is_the_reference_that_they_left(changes: list[Change], expected: Carriers) -> None:
    assert reference_tags.expected(changes) == expected


def test_of_audit__changes__are_those_of_the_audited_references_each_once() -> None:
    elsewhere = replace(FILLED, project="elsewhere", before=Carriers(), after=Carriers(("x",)))
    moved = replace(FILLED, project="q")  # the same tasks, before the project changed
    other = replace(FILLED, name="other", before=Carriers(), after=Carriers(("y",)))
    foreign = replace(FILLED, best="Other tag")
    changes = [FILLED_MORE, elsewhere, moved, other, foreign, FILLED]
    projects = {**PROJECTS, "q": PROJECT}

    def found(name: str = "") -> list[list[Change]]:
        return [list(own) for own in reference_findings.of_audit(changes, best=BEST, name=name, projects=projects)]

    assert found() == [[FILLED_MORE, FILLED], [other]]
    assert found("other") == [[other]]


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ([change(OLD, Carriers(("a", "b")), made=False)], [("unfinished_reference", "note")]),
        ([FILLED], [("deleted_reference", "finding")]),
        ([change(OLD, OLD)], []),
    ],
    ids=["unfinished", "deleted", "in order"],
)
def test_check__one_tagged_run__is_compared_with_what_was_recorded(
    changes: list[Change], kinds: list[tuple[str, str]]
) -> None:
    tagged = {NAMES.runs: [task(id="a")], NAMES.earlier: [], NAMES.showed: []}
    found = reference_findings.check([changes], tagged, {}, best=BEST, projects=PROJECTS)
    assert [(finding.kind, finding.severity) for finding in found] == kinds


@pytest.mark.parametrize(
    ("tagged", "kind"),
    [
        (task(id="a", copied_from="b"), "copied_tag"),
        (task(id="a", status="in_progress"), "copied_tag"),
        (task(id="a", diff="+ lr = 1"), "unusable_reference"),
    ],
    ids=["clone", "clone-that-runs", "dirty"],
)
def test_check__task_that_nobody_recorded__is_named_as_well(tagged: RecordedTask, kind: str) -> None:
    by_tag = {NAMES.runs: [tagged], NAMES.earlier: [], NAMES.showed: []}
    (found,) = reference_findings.check([], by_tag, {}, best=BEST, projects={})
    assert found.kind == kind
