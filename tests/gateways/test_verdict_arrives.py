"""A verdict always arrives: what one token cannot post another one does, and no end of a job leaves a status behind."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import pipeline_runs, run_results, run_start
from clearml_ci.clearml_api.session import ClearML, LostAnswerError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import poll
from clearml_ci.core.errors import UsageError
from clearml_ci.core.step_results import ReportResult
from clearml_ci.decisions import verdict
from clearml_ci.github_api.session import PATIENCE, GitHubError
from clearml_ci.job import follow, reporter, start
from clearml_ci.job.reporter import Reporter
from clearml_ci.operations import run_report
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from clearml_ci.report import comment
from sandbox.runtime.clearml_access import Client
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB, Hub, proposed
from tests.clock import fast_clock
from tests.gateways import services
from tests.gateways.between import refusing
from tests.gateways.conftest import Project
from tests.gateways.job_session import signed_in
from tests.gateways.test_publish import PASSED, RUN

ROOT = Path(__file__).parents[2]
NO_COMMENT = {"contents": "read", "issues": "read", "pull_requests": "read", "statuses": "write"}
NO_STATUS = {"contents": "read", "issues": "write", "pull_requests": "write"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = proposed(tmp_path)
    yield made
    made.server.stop()


@pytest.fixture
def check(hub: Hub) -> Check:
    head = hub.repository.get_pull(1).head.sha
    return Check(head, PullRequest(FULL_NAME, 1, (), hub.server.api_url), "", "", (), "Best")


def reported(hub: Hub, check: Check, permissions: dict[str, str]) -> ReportResult:
    """What the step reports, whose agent has a token with these permissions."""
    document: Any = {**verdict.error(check, run=RUN, reason="fine"), **PASSED}
    body = comment.comment(document, [])
    posted = run_report.post(signed_in(hub.server, permissions=permissions), check, document, body, withheld="")
    return {"verdict": document, "markdown": body, **posted}


def waiting(hub: Hub, check: Check, permissions: dict[str, str] = JOB) -> Reporter:
    """The job that waits, and has set the pending status."""
    job = Reporter(signed_in(hub.server, permissions=permissions), check)
    job.set_status(state="pending", description="started", url="")
    return job


def seen(hub: Hub, check: Check) -> tuple[int, str]:
    """The number of comments, and the commit's state."""
    state = hub.repository.get_commit(check.commit).get_combined_status().state
    return hub.repository.get_issue(1).get_comments().totalCount, state


@pytest.mark.parametrize("permissions", [JOB, NO_COMMENT, NO_STATUS, {"contents": "read"}])
def test_conclude__whatever_the_agent_could_post__comment_and_status_arrive(
    hub: Hub, check: Check, permissions: dict[str, str]
) -> None:
    job = waiting(hub, check)
    assert follow.conclude_reported(job, reported(hub, check, permissions)) == 0
    assert seen(hub, check) == (1, "success")


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("seconds", [30, 300])
def test_be_patient__github_away_when_the_verdict_comes__posts_all_that_is_left_once_it_is_back(
    hub: Hub, check: Check, capsys: pytest.CaptureFixture[str], seconds: int
) -> None:
    job = waiting(hub, check)
    job.start_check_run("https://run")
    report = reported(hub, check, {"contents": "read"})
    hub.server.stop()
    back: list[GitHubServer] = []

    def come_back() -> None:
        if not back and clock.monotonic() >= seconds:
            back.append(hub.server.restart())

    clock = fast_clock(on_sleep=come_back)
    job.be_patient(clock)
    assert follow.conclude_reported(job, report) == (0 if back else 4)
    assert clock.monotonic() == pytest.approx(min(seconds, PATIENCE), abs=4)  # once for all posts
    assert "GitHub does not answer" in capsys.readouterr().out
    server = back[0] if back else hub.server.restart()
    assert seen(hub, check) == ((1, "success") if back else (0, "pending"))
    (run,) = hub.repository.get_commit(check.commit).get_check_runs()
    assert run.status == ("completed" if back else "in_progress")
    server.stop()


def test_conclude__final_status_refused_to_both__is_an_error_that_names_the_commit(
    hub: Hub, check: Check, capsys: pytest.CaptureFixture[str]
) -> None:
    job = waiting(hub, check)
    job.github = signed_in(hub.server, permissions=NO_STATUS)
    assert follow.conclude_reported(job, reported(hub, check, NO_STATUS)) == 4
    assert f"the status of {check.commit[:10]} stays pending" in capsys.readouterr().out


def test_conclude__job_that_never_could_set_a_status__has_the_verdicts_code(hub: Hub, check: Check) -> None:
    """The token of a fork's workflow only reads."""
    job = waiting(hub, check, permissions=NO_STATUS)
    assert follow.conclude_reported(job, reported(hub, check, NO_STATUS)) == 0


def test_conclude__run_aborted_after_its_report__comment_and_status_are_the_error(hub: Hub, check: Check) -> None:
    """Also if it was killed before it stored that it had commented."""
    reported(hub, check, JOB)
    aborted = "the run was aborted in ClearML"
    assert follow.conclude_unreported(waiting(hub, check), RUN, aborted) == 4
    (text,) = (post.body for post in hub.repository.get_issue(1).get_comments())
    assert seen(hub, check) == (1, "failure") and aborted[1:] in text  # GitHub combines an error to a failure


def test_conclude__run_that_failed__leaves_the_comment_of_another_run(hub: Hub, check: Check) -> None:
    report = reported(hub, check, JOB)
    other: Any = {"id": "other", "url": "https://clearml/other"}
    assert follow.conclude_unreported(waiting(hub, check), other, "aborted in ClearML") == 4
    (text,) = (post.body for post in hub.repository.get_issue(1).get_comments())
    assert text == report["markdown"]


def test_is_of_head__older_commit__is_not(hub: Hub, check: Check) -> None:
    assert reporter.connect(check, hub.server.token("workflow", permissions=JOB)).is_of_head()
    hub.commit("better", text="pushed again")
    assert not reporter.connect(check, hub.server.token("workflow", permissions=JOB)).is_of_head()


def test_link_status__pending_one__is_linked_and_a_final_one_stays(hub: Hub, check: Check) -> None:
    job = waiting(hub, check)
    job.link_status("https://run")
    job.set_status(state="failure", description="worse", url="https://run")
    job.link_status("https://late")
    found = hub.repository.get_commit(check.commit).get_statuses()
    assert [(status.state, status.target_url or "") for status in found] == [
        ("failure", "https://run"),
        ("pending", "https://run"),
        ("pending", ""),
    ]


def test_link_status__verdict_before_the_job_knows_of_its_run__stays(hub: Hub, check: Check) -> None:
    """The answer to the start of the run came after the run."""
    job = waiting(hub, check)
    report = reported(hub, check, JOB)
    job.link_status("https://run")
    assert seen(hub, check) == (1, "success")
    assert follow.conclude_reported(job, report) == 0


def test_conclude__link_that_came_after_the_verdict__is_replaced_by_it(hub: Hub, check: Check) -> None:
    job = waiting(hub, check)
    report = reported(hub, check, JOB)
    job.set_status(state="pending", description="runs in ClearML", url="https://run", repeated=False)
    assert seen(hub, check) == (1, "pending")
    assert follow.conclude_reported(job, report) == 0
    assert seen(hub, check) == (1, "success")


def test_conclude__status_that_cannot_be_read__is_set_once_more(hub: Hub, check: Check) -> None:
    """A link to the run may have come after the verdict."""
    with refusing(hub.server.url, method="GET", ending="/status") as address:
        job = waiting(hub, check)
        report = reported(hub, check, JOB)
        job.set_status(state="pending", description="runs in ClearML", url="https://run", repeated=False)
        job.github = signed_in(hub.server, api_url=f"{address}/api/v3")
        assert follow.conclude_reported(job, report) == 0
    assert seen(hub, check) == (1, "success")


@pytest.fixture
def environ(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """The environment of a job of pull request 1."""
    path = tmp_path / "event.json"
    path.write_text(json.dumps(hub.server.event(FULL_NAME, 1, "synchronize")))
    token = hub.server.token("workflow", repository=FULL_NAME, permissions=JOB)
    given = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(path), "GITHUB_TOKEN": token}
    return {**given, "GITHUB_API_URL": hub.server.api_url}


@pytest.mark.parametrize("name", ["ClearML CI", "ClearML CI: digits"])
def test_check__policy_that_cannot_be_read__replaces_the_earlier_success(
    hub: Hub, check: Check, environ: dict[str, str], name: str
) -> None:
    commit = hub.repository.get_commit(check.commit)
    commit.create_status("success", context=name)
    commit.create_status("success", context="another tool")
    hub.commit("main", file=".github/clearml-ci.yml", text="gates: nonsense\n")
    with pytest.raises(UsageError, match="gates"):
        start.check(environ, poll.started(fast_clock()))
    states = {status.context: status.state for status in commit.get_combined_status().statuses}
    assert states == {name: "error", "another tool": "success"}


def test_check__settings_that_are_wrong__set_an_error(hub: Hub, check: Check, environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="CLEARML_CI_DEADLINE"):
        start.check({**environ, "CLEARML_CI_DEADLINE": "soon"}, poll.started(fast_clock()))
    assert seen(hub, check) == (0, "failure")  # GitHub's word for any error


@pytest.mark.usefixtures("no_pauses")
def test_check__github_away_when_the_policy_is_read__sets_an_error_once_it_is_back(
    hub: Hub, check: Check, environ: dict[str, str]
) -> None:
    back: list[GitHubServer] = []

    def come_back() -> None:
        if not back and clock.monotonic() >= 30:
            back.append(hub.server.restart())

    clock = fast_clock(on_sleep=come_back)
    hub.server.stop()
    with pytest.raises(GitHubError, match="no response from GitHub for the branch"):
        start.check(environ, poll.started(clock))
    assert seen(hub, check) == (0, "failure")  # GitHub's word for any error
    back[0].stop()


def test_trigger__unknown_command__is_an_error_of_the_job(tmp_path: Path) -> None:
    output = tmp_path / "output"
    variables = {"PATH": os.environ["PATH"], "GITHUB_OUTPUT": str(output)}
    done = subprocess.run(
        [sys.executable, "ci_trigger.py", "chekc"], cwd=ROOT, env=variables, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert "outcome=error\nexit_reason=no command 'chekc'; commands: agents, audit, " in output.read_text()


class Nameless(ClearML):
    """A session whose proxy answers the start of a run itself."""

    def call(self, endpoint: str, **request: Any) -> dict[str, Any]:
        return {} if endpoint == "pipelines.start_pipeline" else super().call(endpoint, **request)


def test_start__answer_that_names_no_run__is_a_lost_answer(clearml: ClearML, project: Project) -> None:
    template = project.task(end=None, name="pr_check", type="controller")
    with pytest.raises(LostAnswerError, match="names no run"):
        run_start.start(
            Nameless(clearml.host, clearml.authorization),
            template=template,
            queue=Queue("q", "queue", frozenset()),
            arguments={},
            clock=fast_clock(),
        )


def finished(hub: Hub, check: Check, clearml: ClearML, run: str, *, step: str = "") -> ReportResult:
    """The report of a run that passed."""
    document: Any = {**verdict.error(check, run={"id": run, "url": "https://c"}, reason="fine"), **PASSED}
    return run_report.finish(
        replace(services.of_agent(clearml), own_task=step),
        pipeline_runs.read(clearml, run),
        check,
        document,
        comment.comment(document, []),
        github=signed_in(hub.server),
        withheld="",
    )


def test_finish__killed_while_it_posts__leaves_no_success_without_a_verdict(
    hub: Hub, check: Check, clearml: ClearML, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = project.task(end=None, name="pr_check", type="controller")
    step = project.step(run, "report")
    monkeypatch.setattr("github.Issue.Issue.create_comment", lambda *_: sys.exit("killed"))
    with pytest.raises(SystemExit):
        finished(hub, check, clearml, run, step=step)
    assert seen(hub, check) == (0, "success")
    report = run_results.results(clearml, run)["report"]
    assert (report["verdict"]["exit_code"], report["posted"], report["commented"]) == (0, False, False)


def test_finish__file_server_that_is_down__posts_the_verdict_and_names_it(
    hub: Hub, check: Check, clearml: ClearML, client: Client, project: Project
) -> None:
    run = project.task(end=None, name="pr_check", type="controller")
    client.call("tasks.edit", task=run, output_dest="http://127.0.0.1:9", force=True)
    result = finished(hub, check, clearml, run)
    assert "fault" not in result
    assert any("check ClearML's file server" in warning for warning in result["warnings"])
    assert seen(hub, check) == (1, "success")


def test_finish__run__has_plots_for_itself_and_for_each_step(
    hub: Hub, check: Check, clearml: ClearML, client: Client, project: Project
) -> None:
    run = project.run(pull_request="1")
    compare, report = project.step(run, "compare"), project.step(run, "report")
    services.leave_result(clearml, compare, {"fault": "it broke"})
    for _ in range(2):
        assert finished(hub, check, clearml, run, step=report)["warnings"] == []
    assert [plot["metric"] for plot in plots_of(client, run)] == ["1 Verdict"]
    assert "It broke." in plots_of(client, compare)[0]["plot_str"]
    assert "Posted the verdict on GitHub" in plots_of(client, report)[0]["plot_str"]


@pytest.mark.parametrize(
    ("result", "warning"), [({"candidate": 5}, "could not be drawn: "), ({"fault": "it broke"}, "refused 1 of 3 plots")]
)
def test_finish__plots_that_cannot_be_shown__are_a_warning(
    hub: Hub, check: Check, clearml: ClearML, client: Client, project: Project, result: dict[str, Any], warning: str
) -> None:
    run = project.run(pull_request="1")
    edited, report = project.step(run, "find_task"), project.step(run, "report")
    full = {"doubt": "", "reason": "", "rejected": [], **result}
    services.leave_result(clearml, edited, full)
    if "fault" in result:
        client.call("tasks.publish", task=edited, force=True)
    found = finished(hub, check, clearml, run, step=report)
    assert [text for text in found["warnings"] if warning in text]
    assert found["verdict"]["exit_code"] == 0
    assert seen(hub, check) == (1, "success")


def plots_of(client: Client, task: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.call("events.get_task_plots", task=task, iters=1)["plots"]
    return found
