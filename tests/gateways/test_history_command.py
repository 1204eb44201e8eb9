"""`ci_trigger.py history`: from the tagged tasks of a ClearML server; it changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.testing.hub import FULL_NAME, JOB, Hub
from tests.gateways.conftest import Project
from tests.unit.test_main_drift import AFTER, BEFORE

ROOT = Path(__file__).parents[2]
METRIC = ("--metric", "accuracy/validation")


def history(project: Project, tmp_path: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "ci_trigger.py"), "history", "--project", project.name, *arguments],
        cwd=tmp_path,
        env={**os.environ, "GITHUB_REPOSITORY": "", "GITHUB_TOKEN": "", **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def of_main(project: Project, *values: float) -> None:
    for number, value in enumerate(values):
        task = project.task(commit=f"{number:040x}", tags=["main_branch"], end=None)
        project.client.call("tasks.started", task=task)
        project.report(task, value)
        project.client.call("tasks.completed", task=task)


def test_history__level_that_fell__is_in_the_table_and_the_chart(
    project: Project, tmp_path: Path, user_environment: dict[str, str]
) -> None:
    assert user_environment
    of_main(project, *BEFORE, *AFTER)
    code, text = history(project, tmp_path, *METRIC, GITHUB_REPOSITORY="octo-owner/digits")
    assert code == 0, text
    assert f"history of train in {project.name}:" in text
    (row,) = (line for line in text.splitlines() if "worse by 0.0309" in line)
    assert row.startswith("0000000000")
    assert "accuracy/validation, 15 merges, oldest left (maximize)" in text
    assert "GITHUB_TOKEN is not set" in text


def test_history__policy_of_the_checkout__has_the_gates(
    project: Project, tmp_path: Path, user_environment: dict[str, str]
) -> None:
    assert user_environment
    of_main(project, 0.9)
    (tmp_path / ".github").mkdir()
    gate = "{metric: accuracy/validation, goal: minimize}"
    (tmp_path / ".github" / "clearml-ci.yml").write_text(f"version: 1\ngates: [{gate}]\n")
    code, text = history(project, tmp_path)
    assert (code, "1 merge, oldest left (minimize)" in text) == (0, True), text


def test_history__token_for_github__has_the_order_of_merges_and_their_pull_requests(
    project: Project, hub: Hub, tmp_path: Path, user_environment: dict[str, str]
) -> None:
    assert user_environment
    pull = hub.pull("improved")
    pull.merge(merge_method="squash")
    pushed = hub.push_on_main(commits=1)
    for commit in ("e" * 40, pushed, pull.head.sha):
        task = project.task(commit=commit, tags=["main_branch"])
        project.report(task, 0.9)
    code, text = history(
        project,
        tmp_path,
        *METRIC,
        GITHUB_REPOSITORY=FULL_NAME,
        GITHUB_API_URL=hub.server.api_url,
        GITHUB_TOKEN=hub.server.token("workflow", repository=FULL_NAME, permissions=JOB),
    )
    _, _, table = text.partition("merge ")
    merges = [line.split()[0] for line in table.splitlines()[1:4]]
    assert (code, merges) == (0, ["e" * 10, f"#{pull.number}", pushed[:10]]), text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(("--metric", "accuracy/validaton"), 2, "did you mean 'accuracy/validation'?", id="near metric"),
        pytest.param(("--metric", "accuracy"), 2, "expected title/series", id="no series"),
        pytest.param((), 2, "no metric is named: give `--metric title/series`", id="no metric"),
        pytest.param((*METRIC, "--project", "{}x"), 2, "did you mean '{}'?", id="near project"),
        pytest.param((*METRIC, "--project", " "), 2, "no ClearML project is named", id="no project"),
    ],
)
def test_history__wrong_argument__names_what_is_near(
    project: Project,
    tmp_path: Path,
    user_environment: dict[str, str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    assert user_environment
    of_main(project, 0.9)
    given = (argument.format(project.name) for argument in arguments)
    found, text = history(project, tmp_path, *given)
    assert (found, message.format(project.name) in text) == (code, True), text


def test_history__no_run_of_main__is_one_line(
    project: Project, tmp_path: Path, user_environment: dict[str, str]
) -> None:
    assert user_environment
    project.task()
    code, text = history(project, tmp_path, *METRIC)
    assert (code, "promotions tag them 'main_branch'" in text) == (0, True), text
