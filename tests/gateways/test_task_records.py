"""Tasks of a ClearML server as evidence: by commit, by tag, with metrics, curves and inputs."""

import re
import time
from typing import Any

import pytest

from clearml_ci.clearml_api import (
    paging,
    task_inputs,
    task_metrics,
    task_records,
)
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.gate import Gate, Summary
from sandbox.runtime.clearml_access import Client
from tests.gateways.conftest import COMMIT, Project

GATE = Gate("accuracy", "validation")
LOSS = Gate("loss", "train", goal="minimize")


def commit_tasks(clearml: ClearML, project: Project, **more: Any) -> list[str]:
    found = task_records.of_commit(clearml, **{"commit": COMMIT, "task_name": "", **more}, project=project.id)
    return [task.id for task in found]


def test_of_commit__many_tasks__finds_those_of_the_commit_in_one_request(clearml: ClearML, project: Project) -> None:
    project.task(commit="d" * 40)
    mine = [project.task(), project.task(end="failed")]
    before = clearml.requests
    assert sorted(commit_tasks(clearml, project)) == sorted(mine)
    assert clearml.requests == before + 1


def test_of_commit__newest__comes_first(clearml: ClearML, project: Project) -> None:
    older = project.task()
    time.sleep(0.01)
    newer = project.task()
    assert commit_tasks(clearml, project) == [newer, older]


def test_of_commit__more_than_a_page__are_requested_only_when_they_are_needed(
    clearml: ClearML, project: Project
) -> None:
    for _ in range(paging.PAGE + 1):
        project.task(end=None)
    before = clearml.requests
    tasks = task_records.of_commit(clearml, commit=COMMIT, project=project.id, task_name="")
    next(tasks)
    assert clearml.requests == before + 1
    assert len(list(tasks)) == paging.PAGE
    assert clearml.requests == before + 2


def test_of_commit__task_name__is_matched_exactly(clearml: ClearML, project: Project) -> None:
    mine = project.task(name="train (v1.0)")
    project.task(name="train (v1.0) copy")
    project.task(name="train (v1x0)")
    assert commit_tasks(clearml, project, task_name="train (v1.0)") == [mine]


def test_of_commit__recorded_task__carries_what_the_decision_needs(clearml: ClearML, project: Project) -> None:
    script = {"repository": "https://github.com/o/n.git", "version_num": COMMIT, "diff": "changed"}
    task_id = project.task(script=script)
    project.client.call("tasks.archive", tasks=[task_id])
    found = list(task_records.of_commit(clearml, commit=COMMIT, project=project.id, task_name=""))
    assert [(task.id, task.commit, task.diff, task.archived, task.status) for task in found] == [
        (task_id, COMMIT, "changed", True, "completed")
    ]
    assert (found[0].project, found[0].project_id) == (project.name, project.id)
    assert re.search(f"/projects/{project.id}/(tasks|experiments)/{task_id}/output/log$", found[0].url)


def test_tagged__tagged_ones__come_with_their_whole_curves_extremes(clearml: ClearML, project: Project) -> None:
    best = project.task(tags=["Best"])
    project.report(best, 0.5, 0.9, 0.7)
    project.task(tags=["other"])
    failed = project.task(tags=["Best"], end="failed")
    found = task_records.tagged(clearml, projects=[project.id], task_name="train", tag="Best", gates=[GATE])
    assert {task.id: task.status for task, _ in found} == {best: "completed", failed: "failed"}
    summary = next(reported[GATE] for task, reported in found if task.id == best)
    assert summary is not None
    assert (summary.last, summary.minimum, summary.maximum) == (0.7, 0.5, 0.9)


def test_with_metrics__several_tasks_and_gates__come_in_one_request(clearml: ClearML, project: Project) -> None:
    first, second = project.task(), project.task()
    project.report(first, 0.5, 0.25, title="loss", series="train")
    project.report(second, 0.75)
    before = clearml.requests
    found = task_records.with_metrics(clearml, [first, second], [GATE, LOSS])
    assert clearml.requests == before + 1
    assert list(found) == [first, second]
    assert found[first][1] == {GATE: None, LOSS: Summary("loss", "train", 0.25, 0.25, 0.5)}
    assert found[second][1] == {GATE: Summary("accuracy", "validation", 0.75, 0.75, 0.75), LOSS: None}
    assert (found[first][0].id, found[first][0].commit) == (first, COMMIT)


def test_with_metrics__task_that_is_gone__is_reported(clearml: ClearML, project: Project) -> None:
    with pytest.raises(ClearMLError, match=f"no ClearML task {'0' * 32}"):
        task_records.with_metrics(clearml, [project.task(), "0" * 32], [GATE])


def test_task_inputs__two_tasks__come_in_one_request(clearml: ClearML, client: Client, project: Project) -> None:
    script = {
        "repository": "https://github.com/o/n.git",
        "version_num": COMMIT,
        "requirements": {"pip": "# Python 3.11\n\nscikit_learn == 1.5.2\n"},
    }
    model = client.call("models.create", uri="http://h/m", name="base")["id"]
    full = project.task(
        script=script,
        end=None,
        hyperparams={
            "Args": {"lr": {"section": "Args", "name": "lr", "value": "0.1"}},
            "Datasets": {"train": {"section": "Datasets", "name": "train", "value": "d1"}},
            "properties": {"note": {"section": "properties", "name": "note", "value": "x"}},
        },
        models={"input": [{"name": "base", "model": model}]},
    )
    client.call("tasks.edit", task=full, runtime={"gpu_type": "A100"}, force=True)
    bare = project.task()
    before = clearml.requests
    found = task_inputs.read(clearml, [full, bare])
    assert clearml.requests == before + 1
    assert found == {
        full: Inputs(
            {"Args/lr": "0.1"}, {"scikit-learn": "1.5.2"}, {"Datasets/train": "d1", "models/base": model}, "A100"
        ),
        bare: Inputs({}, {}, {}),
    }


def test_curves__tasks__cost_one_request_each_and_leave_out_what_has_no_curve(
    clearml: ClearML, project: Project
) -> None:
    first, second = project.task(), project.task()
    project.report(first, 0.5, 0.75, 1.0)
    project.report(first, 0.5, 0.25, title="loss", series="train")
    project.report(second, 0.25)
    before = clearml.requests
    found = task_metrics.curves(clearml, {first: [GATE, LOSS], second: [GATE, LOSS]})
    assert clearml.requests == before + 2
    assert found == {
        (first, GATE): ((0.0, 0.5), (1.0, 0.75), (2.0, 1.0)),
        (first, LOSS): ((0.0, 0.5), (1.0, 0.25)),
        (second, GATE): ((0.0, 0.25),),
        (second, LOSS): (),
    }


def test_scalars__machine_monitoring__is_left_out(clearml: ClearML, project: Project) -> None:
    task = project.task()
    project.report(task, 0.5)
    project.report(task, 80.0, title=":monitor:machine", series="cpu")
    assert task_metrics.series_names(clearml, task) == [("accuracy", "validation")]


def test_related__ids_and_tags__are_matched_exactly_and_with_their_inputs_in_one_request(
    clearml: ClearML, project: Project
) -> None:
    best = project.task(
        tags=["Best (v1.0)"], hyperparams={"Args": {"lr": {"section": "Args", "name": "lr", "value": "1"}}}
    )
    mine, _ = project.task(), project.task(tags=["best (V1.0)"])
    before = clearml.requests
    found = task_records.related(
        clearml, [mine, "0" * 32], {"Best (v1.0)": task_records.STAMP}, project=project.id, task_name="", gates=[GATE]
    )
    assert clearml.requests == before + 1
    assert [*found.by_id] == [mine]
    assert [task.id for task, _ in found.by_tag["Best (v1.0)"]] == [best]
    assert found.inputs[best].hyperparameters == {"Args/lr": "1"}


def test_related__task_of_another_project__is_not_found(clearml: ClearML, client: Client, project: Project) -> None:
    other = client.call("projects.create", name=f"{project.name} others")["id"]
    task = project.task()
    found = task_records.related(clearml, [task], {}, project=other, task_name="", gates=[])
    assert (found.by_id, found.by_tag) == ({}, {})
