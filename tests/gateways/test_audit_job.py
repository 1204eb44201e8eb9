"""The job of an audit on a ClearML server and the local GitHub: what it reads, and its schedule in ClearML."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import (
    audit_schedules,
    pipeline_runs,
    pipeline_templates,
    project_lookup,
)
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import poll
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Stopwatch
from clearml_ci.decisions import verdict
from clearml_ci.job import audit as audit_job
from clearml_ci.job import follow, reporter, start
from clearml_ci.parameters import audit
from clearml_ci.report import audit_issue
from sandbox.runtime.clearml_access import Client
from sandbox.testing.hub import FULL_NAME, JOB, Hub, fresh, git
from tests.clock import fast_clock


def began() -> Stopwatch:
    return poll.started(fast_clock())


ROLES = ("CONTROLLER", "STEPS", "SERVICES")
HANDED_OVER = {"CLEARML_CI_WAIT": "false"}
PROBE = {"CLEARML_CI_REMOTE_RUN": "first-iteration", "CLEARML_CI_RUN_SCRIPT": "train.py"}
RETRAIN = {
    "CLEARML_CI_AUDIT_RETRAIN": "1",
    "CLEARML_SCALAR_TITLE": "accuracy",
    "CLEARML_SCALAR_SERIES": "validation",
}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = fresh(tmp_path)
    yield made
    made.server.stop()


@pytest.fixture
def environ(hub: Hub, prefix: str) -> dict[str, str]:
    return {
        "GITHUB_REPOSITORY": FULL_NAME,
        "GITHUB_API_URL": hub.server.api_url,
        "GITHUB_TOKEN": hub.server.token("workflow", repository=FULL_NAME, permissions=JOB),
        "CLEARML_CI_PIPELINE_PROJECT": f"{prefix} CI",
        "CLEARML_CI_REPOSITORY": "https://github.com/octo-owner/clearml-ci.git",
        "CLEARML_CI_COMMIT": "f" * 40,
        **{f"CLEARML_CI_{name}_QUEUE": f"{prefix}-{name.lower()}" for name in (*ROLES, "CODE")},
    }


def test_asked__token_of_a_job__tells_the_main_branch_and_its_commits(hub: Hub, environ: dict[str, str]) -> None:
    home = audit.from_arguments(audit_job.read_settings(environ).arguments).home
    assert (home.repository, home.base, home.clone_url) == (FULL_NAME, "main", hub.repository.clone_url)
    assert home.recent[0] == git(hub.clone, "rev-parse", "origin/main")


def test_asked__without_a_token__is_wrong_usage(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"GITHUB_TOKEN is not set: .*; set it, in a workflow to "):
        audit_job.read_settings({**environ, "GITHUB_TOKEN": ""})


def test_asked__policy_that_is_named__is_that_of_the_main_branch(hub: Hub, environ: dict[str, str]) -> None:
    for file, name in (("clearml-ci.yml", "digits"), ("clearml-ci-letters.yml", "letters")):
        hub.commit("main", file=f".github/{file}", text=f"version: 1\nname: {name}\n")
    hub.commit("better", file=".github/clearml-ci-easy.yml", text="version: 1\nname: letters\n")
    settings = [
        audit_job.read_settings({**environ, "CLEARML_CI_POLICY": path})
        for path in ("", ".github/clearml-ci-letters.yml")
    ]
    assert [audit.from_arguments(read.arguments).name for read in settings] == ["digits", "letters"]
    with pytest.raises(
        UsageError, match=r"the branch 'main' of octo-owner/digits has no \.github/clearml-ci-easy\.yml"
    ):
        audit_job.read_settings({**environ, "CLEARML_CI_POLICY": ".github/clearml-ci-easy.yml"})


def test_verdict__agents_without_credentials__the_job_opens_and_closes_the_issue(
    hub: Hub, environ: dict[str, str]
) -> None:
    settings = audit_job.read_settings(environ)
    job = reporter.connect(settings.check, settings.github_token)
    document: Any = {"repository": FULL_NAME, "outcome": "regressed", "exit_code": 1, "findings": []}
    url = job.post_verdict(document, f"<!-- clearml-ci audit: {FULL_NAME} -->\nfound")
    (issue,) = hub.repository.get_issues(state="open")
    assert (issue.html_url, issue.user.login) == (url, "github-actions[bot]")
    passed: Any = {**document, "outcome": "passed", "exit_code": 0}
    job.post_verdict(passed, f"<!-- clearml-ci audit: {FULL_NAME} -->\nwell")
    assert hub.repository.get_issue(issue.number).state == "closed"


def test_conclude__audit_aborted_after_its_report__keeps_the_one_issue(hub: Hub, environ: dict[str, str]) -> None:
    settings = audit_job.read_settings(environ)
    job = reporter.connect(settings.check, settings.github_token)
    run: Any = {"id": "r", "url": "https://clearml/pipelines/p/experiments/r"}
    found: Any = verdict.error(settings.check, run=run, reason="found")
    job.post_verdict(found, audit_issue.issue(found))
    assert follow.conclude_unreported(job, run, "aborted in ClearML", reported=True) == 4
    later: Any = verdict.error(settings.check, run=run, reason="found again")
    job.post_verdict(later, audit_issue.issue(later))
    (issue,) = hub.repository.get_issues(state="all")
    assert "ound again" in issue.body


@pytest.mark.usefixtures("agents", "clearml")
def test_run__audit_that_cannot_start__updates_the_issue(hub: Hub, environ: dict[str, str]) -> None:
    """Before, it was printed on the job's console alone, and a scheduled audit has no reader there."""
    settings = audit_job.read_settings({**environ, "CLEARML_CI_STEPS_QUEUE": "no-such-queue"})
    with pytest.raises(UsageError, match="no queue 'no-such-queue'"):
        start.run(settings, environ, began())
    (issue,) = hub.repository.get_issues(state="open")
    assert issue.title == "ClearML CI audit: could not run"
    assert "No queue 'no-such-queue'" in issue.body
    assert issue.body.strip().endswith("No pipeline run was started.")


def test_schedule__no_schedule__is_refused_before_anything_is_asked() -> None:
    with pytest.raises(UsageError, match="expected 'daily 22:30'"):
        audit_job.schedule({}, "hourly", fast_clock())


Listen = Callable[..., None]


@pytest.fixture
def listen(client: Client, environ: dict[str, str]) -> Iterator[Listen]:
    """`listen("CODE", "STEPS")`: one worker on these queues."""
    workers: list[str] = []

    def listen(*roles: str) -> None:
        names = [environ[f"CLEARML_CI_{role}_QUEUE"] for role in roles]
        existing = client.call("queues.get_all", only_fields=["id", "name"])["queues"]
        known = {queue["name"]: queue["id"] for queue in existing}
        queues = [known.get(name) or client.call("queues.create", name=name)["id"] for name in names]
        workers.append(f"{names[0]}:{len(workers)}")
        client.call("workers.register", worker=workers[-1], queues=queues)

    yield listen
    for worker in workers:
        client.call("workers.unregister", worker=worker)


@pytest.fixture
def agents(listen: Listen) -> None:
    """A worker on each of the three queues."""
    for role in ROLES:
        listen(role)


@pytest.mark.usefixtures("agents", "clearml")
@pytest.mark.parametrize(
    ("also", "message"),
    [
        pytest.param(("STEPS", "CODE"), "could read the credentials of '.*-steps'", id="steps and code"),
        pytest.param(("CONTROLLER", "CODE"), "could read the credentials of '", id="controllers and code"),
        pytest.param((), None, id="no worker runs code"),
        pytest.param(("CODE",), None, id="one of its own"),
    ],
)
def test_run__worker_of_the_code_queue__serves_neither_steps_nor_controllers(
    environ: dict[str, str], listen: Listen, also: tuple[str, ...], message: str | None
) -> None:
    if also:
        listen(*also)
    settings = audit_job.read_settings({**environ, **PROBE, **HANDED_OVER})
    with pytest.raises(UsageError, match=message) if message else contextlib.nullcontext():
        start.run(settings, environ, began())


@pytest.mark.usefixtures("clearml")
@pytest.mark.parametrize("settings", [PROBE, RETRAIN], ids=["probe", "retrain"])
def test_run__controllers_worker_is_the_only_one_for_code__would_wait_for_ever(
    environ: dict[str, str], listen: Listen, settings: dict[str, str]
) -> None:
    listen("CONTROLLER", "CODE")
    listen("STEPS")
    with pytest.raises(UsageError, match="deadlock"):
        start.run(audit_job.read_settings({**environ, **settings, **HANDED_OVER}), environ, began())
    assert start.run(audit_job.read_settings({**environ, **HANDED_OVER}), environ, began()) == 0  # nothing is run


@pytest.mark.usefixtures("clearml")
def test_schedule__services_worker_is_the_only_one_for_code__is_refused(
    environ: dict[str, str], listen: Listen
) -> None:
    listen("CONTROLLER")
    listen("STEPS")
    listen("SERVICES", "CODE")
    with pytest.raises(UsageError, match=r"one worker alone serves the queues '.*-services' and '.*-code'"):
        audit_job.schedule({**environ, **PROBE}, "daily 22:30", fast_clock())
    assert audit_job.schedule(environ, "daily 22:30", fast_clock()) == 0  # nothing is run
    audit_job.schedule(environ, "off", fast_clock())


@pytest.mark.usefixtures("agents")
def test_schedule__registered__so_is_the_template_of_its_version(clearml: ClearML, environ: dict[str, str]) -> None:
    audit_job.schedule(environ, "daily 22:30", fast_clock())
    root = f"{environ['CLEARML_CI_PIPELINE_PROJECT']}/{FULL_NAME}"
    (template,) = pipeline_templates.registered(clearml, project_lookup.all_projects(clearml), root=root)
    assert template.commit == environ["CLEARML_CI_COMMIT"]
    audit_job.schedule(environ, "off", fast_clock())


@pytest.mark.usefixtures("agents")
def test_run__not_waited_for__starts_the_audit_and_says_who_tells_its_verdict(
    clearml: ClearML, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = audit_job.read_settings({**environ, **HANDED_OVER})
    assert start.run(settings, environ, began()) == 0
    output = capsys.readouterr().out
    assert "The verdict comes in the repository's one issue, which the agent that runs the steps writes" in output
    (run,) = re.findall(r"ClearML run: \S+/([0-9a-f]{32})", output)
    assert audit.from_arguments(pipeline_runs.read(clearml, run).arguments).waited_for is False


@pytest.mark.usefixtures("agents")
def test_schedule__audits_that_it_starts__have_no_job_that_waits(clearml: ClearML, environ: dict[str, str]) -> None:
    audit_job.schedule(environ, "daily 22:30", fast_clock())
    project = project_lookup.id_of(clearml, f"{environ['CLEARML_CI_PIPELINE_PROJECT']}/{FULL_NAME}")
    (task,) = clearml.call("tasks.get_all", project=[project], type=["service"], only_fields=["id"])["tasks"]
    schedule = audit_schedules.from_arguments(pipeline_runs.read(clearml, task["id"]).arguments)
    assert audit.from_arguments(schedule.arguments).waited_for is False
    audit_job.schedule(environ, "off", fast_clock())


@pytest.mark.usefixtures("agents")
def test_schedule__twice_and_off__there_is_one_and_then_none(
    clearml: ClearML,  # noqa: ARG001  the session reads its environment
    environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = ("daily 22:30", "daily 22:30", "weekly mon 06:00", "off", "off")
    codes = [audit_job.schedule(environ, text, fast_clock()) for text in texts]
    output = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("registered the pipeline")]
    assert codes == [0] * 5
    assert [line.split(": ")[0].split(" the schedule")[0] for line in output[:4]] == [
        "registered",
        "registered already",
        "registered",
        "ended",
    ]
    assert ["it replaces the schedule" in line for line in output[:3]] == [False, False, True]
    assert output[4].startswith("there was no schedule")
