from typing import Any

import pytest

from clearml_ci.clearml_api.pipeline_runs import START_ARGUMENT
from clearml_ci.core.errors import UsageError
from clearml_ci.core.schedule import Schedule
from clearml_ci.job import audit_settings
from clearml_ci.job.settings import Settings
from clearml_ci.parameters import audit
from clearml_ci.parameters.audit import Home
from clearml_ci.policy import policy_file
from pipelines import audit as pipeline
from tests.unit.drawing import COMMIT, REPOSITORY

HOME = Home("owner/name", REPOSITORY, "https://api.github.com", "main", (REPOSITORY,), recent=(COMMIT,))
METRIC = {"CLEARML_SCALAR_TITLE": "accuracy", "CLEARML_SCALAR_SERIES": "validation"}
POLICY = policy_file.load(
    """
version: 1
project: Digits
gates: [{metric: loss/validation, goal: minimize}]
baselines: {tag: champion}
comment_authors: [our-bot]
remote_run: {script: train.py, queue: gpu}
""",
    source="policy",
)


def settings_of(environ: dict[str, str] | None = None, *, given: policy_file.Policy | None = None) -> Settings:
    return audit_settings.from_environment(environ or {}, HOME, given)


def audit_of(settings: Settings) -> audit.Audit:
    return audit.from_arguments(settings.arguments)


def test_from_environment__nothing_set__audits_the_projects_of_the_checks_without_a_probe() -> None:
    found = settings_of()
    assert (found.pipeline, found.pipeline_project) == ("audit", "ClearML CI/owner/name")
    assert (audit_of(found).projects, audit_of(found).queues) == ((), ("ci-controllers",))
    assert audit_of(found).home == HOME
    assert list(audit.plan(found.arguments)) == [*audit.ALWAYS, "audit_report"]


@pytest.mark.parametrize(
    ("environ", "projects"),
    [
        pytest.param({"CLEARML_PROJECT": "Digits"}, ("Digits",), id="that of the checks"),
        pytest.param({"CLEARML_PROJECT": "Digits", "CLEARML_CI_AUDIT_PROJECTS": "a, b/*"}, ("a", "b/*"), id="a list"),
    ],
)
def test_from_environment__projects__are_the_list_or_the_checks_own(
    environ: dict[str, str], projects: tuple[str, ...]
) -> None:
    assert audit_of(settings_of(environ)).projects == projects


def test_from_environment__policy__goes_before_the_workflow() -> None:
    inputs = {"CLEARML_PROJECT": "Other", "CLEARML_BEST_TAGNAME": "other", "CLEARML_CI_STEPS_QUEUE": "ci-steps"}
    found = settings_of({**METRIC, **inputs}, given=POLICY)
    governed = audit_of(found)
    assert (governed.projects, governed.best_tag, governed.home.comment_authors) == (
        ("Digits",),
        "champion",
        ("our-bot",),
    )
    assert [gate.name for gate in governed.gates] == ["loss/validation"]
    assert (found.arguments["run_until"], found.arguments["run_queue"]) == ("first-iteration", "gpu")
    assert governed.queues == ("ci-controllers", "ci-steps", "gpu")


@pytest.mark.parametrize(
    ("environ", "until"),
    [
        pytest.param({"CLEARML_CI_REMOTE_RUN": "first-iteration"}, "first-iteration", id="probe"),
        pytest.param({"CLEARML_CI_REMOTE_RUN": "completion"}, "completion", id="tests"),
        pytest.param({"CLEARML_CI_CANDIDATE": "find-or-train"}, "first-iteration", id="a training is only begun"),
    ],
)
def test_from_environment__remote_run__is_the_probe_of_main(environ: dict[str, str], until: str) -> None:
    found = settings_of(environ)
    assert found.arguments["run_until"] == until
    assert "audit_probe" in audit.plan(found.arguments)


def test_from_environment__retrain__is_a_step_with_time_for_each_training() -> None:
    found = settings_of({**METRIC, "CLEARML_CI_AUDIT_RETRAIN": "2"})
    assert "audit_retrain" in audit.plan(found.arguments)
    assert found.deadline > 2 * 18_000


@pytest.mark.parametrize(
    ("environ", "key", "bisect"),
    [({}, None, 0), ({"CLEARML_CI_AUDIT_BISECT": "3"}, None, 3), ({"CLEARML_CI_AUDIT_BISECT": "3"}, 2, 2), ({}, 2, 2)],
)
def test_from_environment__bisect__is_the_policys_or_else_the_jobs(
    environ: dict[str, Any], key: int | None, bisect: int
) -> None:
    given = "" if key is None else f"audit_bisect: {key}"
    policy = policy_file.load(f"version: 1\ngates: [{{metric: loss/validation}}]\n{given}", source="p.yml")
    found = settings_of({**METRIC, **environ}, given=policy)
    assert audit_of(found).bisect == bisect
    assert ("audit_bisect" in audit.plan(found.arguments)) == bool(bisect)
    assert found.deadline > bisect * 18_000


@pytest.mark.parametrize(("text", "waited_for"), [("", True), ("true", True), ("False", False)])
def test_from_environment__wait__is_carried_to_the_step_that_reports(text: str, waited_for: bool) -> None:
    found = settings_of({"CLEARML_CI_WAIT": text})
    assert (audit_of(found).waited_for, found.check.waited_for) == (waited_for, waited_for)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        pytest.param({"CLEARML_CI_WAIT": "no"}, "CLEARML_CI_WAIT is 'no'", id="neither true nor false"),
        pytest.param({"CLEARML_CI_AUDIT_RETRAIN": "2"}, "there is no gate", id="retrain without a gate"),
        pytest.param({"CLEARML_CI_AUDIT_BISECT": "2"}, "there is no gate", id="bisect without a gate"),
        pytest.param({**METRIC, "CLEARML_CI_AUDIT_RETRAIN": "all"}, "AUDIT_RETRAIN is 'all'", id="no number"),
        pytest.param(
            {
                "CLEARML_CI_REMOTE_RUN": "first-iteration",
                "CLEARML_CI_STEPS_QUEUE": "one",
                "CLEARML_CI_CODE_QUEUE": "one",
            },
            "the queue 'one' is the trusted steps' as well",
            id="shared queue",
        ),
        pytest.param(
            {"CLEARML_CI_REMOTE_RUN": "first-iteration", "CLEARML_CI_CODE_QUEUE": "ci-controllers"},
            "the queue 'ci-controllers' is the controllers' as well",
            id="the controllers' queue",
        ),
    ],
)
def test_from_environment__nonsense__names_the_variable(environ: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings_of(environ)


def test_from_environment__inputs_that_the_policy_overrides__are_named() -> None:
    given = {**METRIC, "CLEARML_CI_NAME": "mine", "CLEARML_CI_RUN_SCRIPT": "tiny.py", "CLEARML_CI_CANDIDATE": "find"}
    (note,) = settings_of(given, given=POLICY).notes
    assert note.endswith(": name, clearml_scalar_title, run_script")
    assert settings_of(given).notes == ()


def test_from_environment__name__is_the_policys_or_else_the_jobs() -> None:
    given = {"CLEARML_CI_NAME": "mine"}
    assert [audit_of(settings_of(given, given=policy)).name for policy in (None, POLICY)] == ["mine", ""]


def test_from_environment__arguments__are_those_that_the_pipeline_declares() -> None:
    found = settings_of({**METRIC, "CLEARML_CI_REMOTE_RUN": "first-iteration"})
    assert {*found.arguments, START_ARGUMENT} == {*pipeline.PARAMETERS}


def test_when__off__is_none() -> None:
    assert audit_settings.when(" OFF ") is None
    assert audit_settings.when("daily 22:30") == Schedule(22, 30)
    with pytest.raises(UsageError, match="the schedule is 'hourly'"):
        audit_settings.when("hourly")
