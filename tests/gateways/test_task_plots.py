"""Plots on the pages of tasks, as ClearML's server keeps them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import task_plots
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import redaction
from clearml_ci.core.plot import Plot
from sandbox.runtime.clearml_access import Client
from tests.gateways.conftest import Project

ROOT = Path(__file__).parents[2]


def plot(title: str = "1 Verdict", *, text: str = "passed") -> Plot:
    return Plot(title, "Verdict", {"data": [], "layout": {"title": text}})


def shown(client: Client, task: str) -> dict[str, str]:
    """The title of each plot's figure, by the plot's own title."""
    plots = client.call("events.get_task_plots", task=task, iters=1)["plots"]
    return {found["metric"]: json.loads(found["plot_str"])["layout"]["title"] for found in plots}


def test_report__twice__replaces_each_plot_on_a_run_in_progress(
    clearml: ClearML, client: Client, project: Project
) -> None:
    run, step = project.run(pull_request="1"), project.task(name="report")
    before = clearml.requests
    for text in ("passed", "regressed"):
        task_plots.report(clearml, {run: [plot(text=text), plot("2 Gates", text=text)], step: [plot(text=text)]})
    assert shown(client, run) == {"1 Verdict": "regressed", "2 Gates": "regressed"}
    assert shown(client, step) == {"1 Verdict": "regressed"}
    assert clearml.requests == before + 2
    assert client.call("tasks.get_by_id", task=run)["task"]["status"] == "in_progress"


def test_report__after_reset__reports_anew(clearml: ClearML, client: Client, project: Project) -> None:
    run = project.run(pull_request="1")
    task_plots.report(clearml, {run: [plot(), plot("2 Gates")]})
    client.call("tasks.stopped", task=run)
    client.call("tasks.reset", task=run, force=True)
    task_plots.report(clearml, {run: [plot(text="anew")]})
    assert shown(client, run) == {"1 Verdict": "anew"}


def test_report__step_that_takes_no_plots__is_an_error_after_the_others_were_taken(
    clearml: ClearML, client: Client, project: Project
) -> None:
    run, published = project.run(pull_request="1"), project.task(name="step")
    client.call("tasks.publish", task=published)
    with pytest.raises(ClearMLError, match="refused 1 of 2 plots"):
        task_plots.report(clearml, {published: [plot()], run: [plot()]})
    assert shown(client, run) == {"1 Verdict": "passed"}


def test_report__no_such_task__is_an_error(clearml: ClearML) -> None:
    with pytest.raises(ClearMLError, match="Events not added"):
        task_plots.report(clearml, {"0" * 32: [plot()]})


def test_report__secret__is_masked(clearml: ClearML, client: Client, project: Project) -> None:
    run = project.run(pull_request="1")
    redaction.hold(["a-held-secret"])
    try:
        figure: Any = {"data": [{"name": "a-held-secret"}], "layout": {"title": "a-held-secret"}}
        task_plots.report(clearml, {run: [Plot("1 a-held-secret", "a-held-secret", figure)]})
    finally:
        redaction.forget()
    found = json.dumps(client.call("events.get_task_plots", task=run))
    assert "a-held-secret" not in found
    assert found.count("***") == 4


@pytest.mark.parametrize("on_agent", [True, False], ids=["on an agent", "by hand"])
def test_step__its_process__prints_its_facts_and_by_hand_its_result_as_well(
    project: Project, user_environment: dict[str, str], on_agent: bool
) -> None:
    run = project.run(pull_request="1")
    own = project.step(run, "compare") if on_agent else ""
    command = [sys.executable, "-m", "steps.compare", run]
    environment = {**os.environ, **user_environment, "CLEARML_TASK_ID": own}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    (failed,) = [number for number, line in enumerate(lines) if line.startswith("Failed: ")]
    assert "_context is not what" in lines[failed]
    result = "".join(lines[failed + 1 :])
    assert (result == "") if on_agent else ("_context" in json.loads(result)["fault"])
