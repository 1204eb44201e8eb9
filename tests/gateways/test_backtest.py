"""`ci_trigger.py backtest`: the checks and merges that a ClearML server holds, judged once more."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import pipeline_runs, promotion_ledger, task_records
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import recorded_task
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.decisions.promotion import Move
from clearml_ci.job import backtest
from clearml_ci.job.backtest import Options
from clearml_ci.operations import compare
from clearml_ci.operations.compare import Evidence
from clearml_ci.operations.past_checks import Branch
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import Facts, PullRequest
from sandbox.runtime.clearml_access import Access
from sandbox.testing.hub import FULL_NAME, Hub, git
from tests.clock import fast_clock
from tests.gateways.between import allowing
from tests.gateways.conftest import Project
from tests.gateways.test_noise import BEST, REFERENCE, SPREAD, args
from tests.unit import drawing

GATE = Gate("accuracy", "validation", tolerance=0.5)
PULL = PullRequest("o/n", 1, ("https://github.com/o/n.git",), "http://none", base="main", default_branch="main")
CHECK = Check("", PULL, "", "", (GATE,), BEST)
POLICY = """\
version: 1
project: {project}
gates: [{{metric: accuracy/validation, max_regression: {allowed}}}]
baselines: {{tag: Best}}
rule: {rule}
"""
ROOT = Path(__file__).parents[2]
READS = {"auth.login", "projects.get_all", "tasks.get_all_ex"}


@dataclass(frozen=True)
class Past:
    """A repository with checks and merges in the past, and hands to add some."""

    clearml: ClearML
    project: Project
    root: str
    repository: str = "o/n"

    def policy(self, path: Path, *, rule: str = "noise", allowed: str = "0.5%") -> str:
        path.write_text(POLICY.format(project=self.project.name, rule=rule, allowed=allowed))
        return str(path)

    def trained(self, accuracy: float, *, commit: str, **more: Any) -> str:
        """A training, whose metrics are reported before its end."""
        task = self.project.task(commit=commit, end=None, hyperparams=args(seed=commit[:6]), **more)
        self.project.client.call("tasks.started", task=task)
        self.project.report(task, accuracy)
        self.project.client.call("tasks.completed", task=task)
        return task

    def reference(self) -> list[str]:
        return [
            self.trained(value, commit=f"{place:040x}", tags=[REFERENCE, *([BEST] if not place else [])])
            for place, value in enumerate(SPREAD)
        ]

    def run(self, pipeline: str, number: int, commit: str, outcome: str, **more: Any) -> str:
        """A run that has ended, with its parameters and its outcome."""
        name = f"{self.root}/{self.repository}/.pipelines/{pipeline}"
        known = self.project.client.call("projects.get_all", name=f"^{name}$", search_hidden=True)["projects"]
        project = known[0]["id"] if known else self.project.client.call("projects.create", name=name)["id"]
        check = replace(CHECK, commit=commit, project=self.project.name, pull_request=replace(PULL, number=number))
        arguments = args(**replace(check, **more).to_arguments())
        properties = {"outcome": {"section": "properties", "name": "outcome", "value": outcome}}
        return replace(self.project, id=project).task(
            name=pipeline, type="controller", hyperparams={**arguments, "properties": properties}
        )

    def checked(self, number: int, accuracy: float | None, outcome: str) -> str:
        """A check of a commit, which is named after its pull request, and of its training if it has one."""
        commit = f"{number:x}".rjust(40, "c")
        if accuracy is not None:
            self.trained(accuracy, commit=commit)
        self.run("pr_check", number, commit, outcome)
        return commit

    def merged(self, number: int, commit: str, **move: Any) -> str:
        run = self.run("promote", number, commit, "passed", action="promote", merge_commit=f"{number:x}".rjust(40, "d"))
        if move:
            self.move(run, commit=commit, **move)
        return run

    def move(self, run: str, **changes: Any) -> None:
        own: Move = replace(drawing.MOVE, run=run, tag=BEST, task_name="", **changes)
        promotion_ledger.record(self.clearml, own)

    def tasks_of(self, commit: str) -> list[str]:
        found = self.project.client.call("tasks.get_all", project=[self.project.id], only_fields=["id", "script"])
        return [task["id"] for task in found["tasks"] if task["script"].get("version_num") == commit]

    def now(self) -> str:
        return datetime.now(timezone.utc).isoformat()

    def backtest(self, *arguments: Any, **environ: str) -> int:
        given = {**os.environ, "GITHUB_REPOSITORY": "o/n", "CLEARML_CI_PIPELINE_PROJECT": self.root, **environ}
        return backtest.run(given, Options(*arguments), fast_clock())


@pytest.fixture
def past(clearml: ClearML, project: Project, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Past:
    monkeypatch.chdir(tmp_path)
    world = Past(clearml, project, f"{prefix} ci")
    (tmp_path / ".github").mkdir()
    world.policy(tmp_path / ".github" / "clearml-ci.yml")
    return world


def row(text: str, name: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"{name}  "))
    return line.removeprefix(name).split()


@pytest.fixture
def asked(access: Access, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The endpoints that the product calls from now on."""
    found: list[str] = []

    def recorded(endpoint: str, _: str) -> bool:
        found.append(endpoint)
        return True

    with allowing(access.environment()["CLEARML_API_HOST"], recorded) as address:
        monkeypatch.setenv("CLEARML_API_HOST", address)
        yield found


def test_backtest__two_policies__are_side_by_side_and_nothing_is_changed(
    past: Past, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    past.reference()
    for number, accuracy in enumerate((0.95, 0.938, 0.944, 0.96, 0.949), start=1):
        past.merged(number, past.checked(number, accuracy, "passed"))
    past.checked(6, 0.80, "regressed")
    assert past.backtest(past.policy(Path("strict.yml"), rule="best-ever", allowed="0%"), "100", "report.md") == 0
    assert {*asked} <= READS
    text = capsys.readouterr().out
    assert row(text, "checks judged") == ["6", "6"], text
    assert row(text, "red") == ["1", "2"], text
    assert row(text, "merged, never undone, and red") == ["0", "1"]
    (different,) = (line for line in text.splitlines() if line.startswith("#"))
    assert different.split()[:6] == ["#2", "c" * 10, "passed", "green", "red", "merged"]
    assert "not reliable" not in text
    markdown = Path("report.md").read_text()
    assert markdown.count("```mermaid") == 1
    assert "| checks judged" in markdown


def test_backtest__more_checks__needs_no_more_requests(past: Past, asked: list[str]) -> None:
    past.reference()
    past.merged(1, past.checked(1, 0.95, "passed"))
    past.backtest()
    few = len(asked)
    for number in range(2, 12):
        past.merged(number, past.checked(number, 0.95, "passed"))
    asked.clear()
    past.backtest()
    assert len(asked) == few


def test_backtest__loss_that_was_rolled_back__counts_as_undone(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    best, *_ = past.reference()
    commit = past.checked(1, 0.80, "passed")
    (task,) = past.tasks_of(commit)
    undone = past.merged(1, commit, to=task, previous=(best,), at=past.now())
    back = past.run("promote", 1, commit, "passed", action="rollback")
    past.move(back, commit=commit, action="rollback", to=best, previous=(task,), undoes=undone, at=past.now())
    past.merged(2, past.checked(2, 0.95, "passed"))
    assert past.backtest() == 0
    text = capsys.readouterr().out
    assert (row(text, "red"), row(text, "undone later, and red")) == (["1"], ["1"]), text
    assert "only 2 merges could be judged, and 5 are needed" in text.lower()
    assert "rolled back" in text


def test_backtest__with_github__compares_with_the_default_branch_and_knows_reverts(past: Past, hub: Hub) -> None:
    past = replace(past, repository=FULL_NAME)
    past.reference()
    past.merged(1, past.checked(1, 0.95, "passed"))
    reverted = f"{1:x}".rjust(40, "d")
    hub.commit("main", file=".github/clearml-ci.yml", text=Path(".github/clearml-ci.yml").read_text())
    git(hub.clone, "commit", "-q", "--allow-empty", "-m", f"Back\n\nThis reverts commit {reverted}.")
    git(hub.clone, "push", "-q", "origin", "main")
    past.policy(Path(".github/clearml-ci.yml"), rule="best-ever", allowed="0%")
    environ = {
        **os.environ,
        "GITHUB_REPOSITORY": FULL_NAME,
        "GITHUB_API_URL": hub.server.api_url,
        "GITHUB_TOKEN": hub.server.owner_token,
        "CLEARML_CI_PIPELINE_PROJECT": past.root,
    }
    command = [sys.executable, str(ROOT / "ci_trigger.py"), "backtest", ".github/clearml-ci.yml"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout
    assert "policy of main    .github/clearml-ci.yml" in text
    assert row(text, "undone later, and green") == ["1", "1"], text


def test_backtest__baseline_of_that_time__is_compared_with(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    past.policy(Path(".github/clearml-ci.yml"), rule="best-ever", allowed="1%")
    old = past.trained(0.80, commit="0" * 40)
    first = past.checked(1, 0.90, "improved")
    (better,) = past.tasks_of(first)
    past.merged(1, first, to=better, previous=(old,), at=past.now())
    past.project.client.call("tasks.update_tags", ids=[better], add_tags=[BEST])
    past.checked(2, 0.85, "regressed")
    assert past.backtest() == 0
    text = capsys.readouterr().out
    assert (row(text, "green"), row(text, "red")) == (["1"], ["1"]), text


def test_backtest__what_cannot_be_judged__is_left_out_with_the_reason(
    past: Past, capsys: pytest.CaptureFixture[str]
) -> None:
    past.checked(1, 0.95, "no_baseline")
    past.reference()
    past.checked(2, None, "passed")
    past.trained(0.95, commit="")
    late = past.checked(3, None, "no_evidence")
    past.trained(0.95, commit=late)
    past.checked(4, 0.95, "passed")
    assert past.backtest() == 0
    text = capsys.readouterr().out
    assert (row(text, "checks judged"), row(text, "left out")) == (["1"], ["3"]), text
    assert "1 check left out by policy of the checkout: no task of its commit is in ClearML" in text
    assert "its tasks ended after the check" in text
    assert "there was no baseline yet" in text


def test_backtest__facts_that_a_user_edited__harm_nothing(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    past.reference()
    past.checked(1, 0.95, "passed")
    past.run("pr_check", 2, "d" * 40, "passed", facts=Facts(reusable_commits=("((", "*")))
    edited = past.run("pr_check", 3, "e" * 40, "passed")
    past.project.client.call("tasks.edit", task=edited, hyperparams=args(commit="x"), force=True)
    assert past.backtest() == 0
    text = capsys.readouterr().out
    assert (row(text, "checks judged"), row(text, "left out")) == (["1"], ["2"]), text
    assert "the parameters of its run cannot be read" in text


def test_backtest__deleted_baseline__is_left_out(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    best = past.trained(0.9, commit="0" * 40)
    later = past.trained(0.9, commit="1" * 40)
    commit = past.checked(1, 0.95, "passed")
    past.merged(1, commit, to=later, previous=(best,), at=past.now())
    past.project.client.call("tasks.delete", task=best, force=True)
    past.backtest()
    assert "its baseline was deleted" in capsys.readouterr().out


def test_backtest__last_checks__are_the_newest_commits(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    past.reference()
    for number in range(1, 5):
        past.checked(number, 0.80, "regressed")
    past.run("pr_check", 4, f"{4:x}".rjust(40, "c"), "regressed")
    assert past.backtest("", "2") == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines() if line.startswith("#")] == ["#4", "#3"], text


def test_backtest__nothing_in_clearml__is_one_line(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    assert past.backtest() == 0
    assert "no check of o/n has ended in ClearML: there is nothing to judge" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "last", "message"),
    [
        pytest.param("version: 1\ngates: 3\n", "100", "bad.yml:2: gates: found the number 3", id="no policy"),
        pytest.param("version: 1\n", "0", "--last is '0': expected a number of checks from 1 to 1,000", id="none"),
        pytest.param("version: 1\n", "many", "--last is 'many'", id="no number"),
    ],
)
def test_backtest__wrong_usage__is_the_message_of_its_reader(past: Past, text: str, last: str, message: str) -> None:
    Path("bad.yml").write_text(text)
    with pytest.raises(UsageError) as raised:
        past.backtest("bad.yml", last)
    assert message in str(raised.value)


def test_backtest__report__is_a_task_with_plots_that_is_no_evidence(
    past: Past, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    past.reference()
    past.checked(1, 0.95, "passed")
    pipelines = f"{past.root}/o/n"
    known = past.project.client.call("projects.get_all", name=f"^{pipelines}$", search_hidden=True)["projects"]
    assert past.backtest("", "100", "", True) == 0
    changed = [endpoint for endpoint in asked if endpoint not in READS]
    assert changed == ["tasks.create", "tasks.started", "events.add_batch", "tasks.completed"]
    found = past.project.client.call("tasks.get_all", project=[known[0]["id"]], tags=["backtest"])["tasks"]
    (task,) = (task["id"] for task in found)
    assert task in capsys.readouterr().out
    plots = past.project.client.call("events.get_task_plots", task=task)["plots"]
    assert {plot["metric"] for plot in plots} >= {"1 Outcomes", "2 Gates", "4 1 accuracy/validation"}


@pytest.mark.parametrize("accuracy", [0.80, 0.938, 0.95, 0.99])
@pytest.mark.parametrize("repeats", [0, 4])
def test_backtest__check_of_now__has_the_outcome_of_its_step(past: Past, accuracy: float, repeats: int) -> None:
    past.reference()
    commit = past.checked(1, accuracy, "passed")
    check = replace(CHECK, commit=commit, project=past.project.name, repeats=repeats)
    run = pipeline_runs.read(past.clearml, past.project.run(**check.to_arguments()))
    (task,) = past.tasks_of(commit)
    candidate = recorded_task.as_document(task_records.read(past.clearml, task))
    step = compare.with_baseline(past.clearml, None, run, check, Evidence(candidate), repeats=repeats)
    (policy,) = backtest.of(past.clearml, {"main": check}, f"{past.root}/o/n", Branch())
    (replayed,) = policy.replayed
    assert (replayed.outcome, replayed.why) == (step.result["outcome"], step.result["reason"])
    assert replayed.points[0].value == accuracy


def test_backtest__slices_at_a_checkpoint__are_read_from_curves_and_judged(
    past: Past, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    best = past.project.task(commit="0" * 40, tags=[BEST], end=None)
    past.project.client.call("tasks.started", task=best)
    for series, value in (("0", 0.9), ("1", 0.8), ("2", 0.7)):
        past.project.report(best, 0.5, value, title="per class", series=series)
    past.project.client.call("tasks.completed", task=best)
    worse = past.project.task(commit="1".rjust(40, "c"), end=None)
    past.project.client.call("tasks.started", task=worse)
    for series, value in (("0", 0.9), ("1", 0.6), ("2", 0.7)):
        past.project.report(worse, 0.95, value, title="per class", series=series)
    past.project.client.call("tasks.completed", task=worse)
    past.checked(1, None, "passed")
    gate = "{metric: per class/*, max_regression: 5%}"
    Path("slices.yml").write_text(
        f"version: 1\nproject: {past.project.name}\ngates: [{gate}]\nbaselines: {{tag: Best}}\nat: last\n"
    )
    asked.clear()
    assert past.backtest("slices.yml") == 0
    assert {*asked} - READS == {"events.multi_task_scalar_metrics_iter_histogram"}
    text = capsys.readouterr().out
    (different,) = (line for line in text.splitlines() if line.startswith("#1"))
    assert "per class/1 is worse than the baseline by more than 5 %" in different, text
