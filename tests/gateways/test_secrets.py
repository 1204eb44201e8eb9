"""A value that the process holds as a secret is in nothing that leaves it, on any surface, however it is spelled."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from github.Issue import Issue

from ci_trigger import main
from clearml_ci.clearml_api import run_results, task_cancellation, task_creation, task_plots
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import redaction
from clearml_ci.core.gate import Summary
from clearml_ci.core.git_source import Source
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import verdict
from clearml_ci.github_api import check_runs, credentials, issues, pull_request_comment, statuses
from clearml_ci.job import workflow_output
from clearml_ci.operations import publish
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from clearml_ci.report import comment, plots
from clearml_ci.report.charts import Curves, History
from clearml_ci.report.plots import Charts
from clearml_ci.report.verdict_facts import Pages
from sandbox.runtime.clearml_access import Access, Client
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME
from tests.clock import fast_clock
from tests.gateways.conftest import Project
from tests.gateways.job_session import MARKER, signed_in
from tests.unit.drawing import gate_row

ROOT = Path(__file__).parents[2]
HELD = "h3ld/by_this+process"
SPELLINGS = (HELD, quote(HELD, safe=""), base64.b64encode(HELD.encode()).decode(), HELD[:9] + "\n" + HELD[9:])
TEXT = "accuracy \u202e" + " and ".join(SPELLINGS)


@pytest.fixture(autouse=True)
def holds() -> Iterator[None]:
    redaction.hold([HELD])
    yield
    redaction.forget()


def assert_masked(text: str) -> None:
    assert "***" in text.replace("\\", "")  # Markdown's
    assert not [secret for secret in (*SPELLINGS, HELD[9:], "\u202e") if secret in text]


def test_comment_and_issue__held_value__is_masked_and_the_marker_stays(server: GitHubServer, issue: Issue) -> None:
    github, commit = signed_in(server), issue.repository.get_pull(1).head.sha
    for _ in range(2):
        pull_request_comment.upsert(github, pull_request=1, commit=commit, marker=MARKER, body=f"{MARKER}\n{TEXT}")
        issues.upsert(
            github,
            marker="<!-- clearml-ci audit -->",
            title=TEXT,
            body=f"<!-- clearml-ci audit -->\n{TEXT}",
            open_=True,
        )
    (posted,) = issue.get_comments()
    (created,) = [found for found in issue.repository.get_issues() if found.pull_request is None]
    for text in (posted.body, created.body, created.title):
        assert_masked(text)
    assert posted.body.startswith(f"{MARKER}\naccuracy")


def test_status_and_check_run__held_value__is_masked(server: GitHubServer, issue: Issue) -> None:
    github, commit = signed_in(server), issue.repository.get_pull(1).head.sha
    statuses.create(github, commit=commit, name="ClearML CI", state="error", description=TEXT, url="")
    number = check_runs.start(github, commit=commit, name="ClearML CI / verdict", url="")
    assert number is not None
    check_runs.finish(github, number, conclusion="failure", title=TEXT, summary=TEXT, url="", end=TEXT)
    (run,) = issue.repository.get_commit(commit).get_check_runs()
    (status,) = issue.repository.get_commit(commit).get_combined_status().statuses
    for text in (status.description, run.output.title, run.output.summary):
        assert_masked(text)


@pytest.mark.parametrize("length", range(170, 202, 4))
def test_check_run__secret_at_the_end_of_its_title__is_masked_whole(
    server: GitHubServer, issue: Issue, length: int
) -> None:
    github, commit = signed_in(server), issue.repository.get_pull(1).head.sha
    check = Check(commit, PullRequest(FULL_NAME, 1, (), server.api_url), "Digits", "", (), "Best")
    document = verdict.error(check, run={"id": "r", "url": "https://c"}, reason="a" * length + HELD)
    publish.check_run(github, check, document, "fine", started=None)
    number = check_runs.start(github, commit=commit, name="stale", url="https://c")
    assert number is not None
    check_runs.finish(github, number, conclusion="failure", title="a" * length + HELD, summary="fine", url="")
    titles = [run.output.title for run in issue.repository.get_commit(commit).get_check_runs()]
    assert len(titles) == 2
    assert not [title for title in titles if HELD[:5] in title or len(title) > 200]


def test_result_and_reason__held_value__is_masked_on_the_task(
    clearml: ClearML, client: Client, project: Project
) -> None:
    task = project.run(pull_request="1")
    run_results.store(clearml, task, {"reason": TEXT, "log": [TEXT], "seconds": 1.5})
    task_cancellation.end(clearml, task, run=task, archive=False, reason=TEXT, clock=fast_clock())
    (found,) = client.call("tasks.get_all", id=[task], only_fields=["configuration", "status_reason"])["tasks"]
    stored = json.loads(found["configuration"]["result"]["value"])
    assert stored["seconds"] == 1.5
    for text in (stored["reason"], *stored["log"], found["status_reason"]):
        assert_masked(text)


def planted(check: Check, text: str) -> Any:
    """A verdict with this text in every place that a task, a project, a metric, a console or a remote can fill."""
    task = {"id": "1" * 32, "name": text, "project": text, "url": "https://c/1"}
    launch = {"outcome": Outcome.NO_EVIDENCE, "phase": "script", "reason": text, "log_tail": [text, text]}
    differing = {"kind": "hyperparameter", "name": text, "candidate": text, "baseline": text, "matters": True}
    return {
        **verdict.error(check, run={"id": "r", "url": "https://c"}, reason=text),
        "outcome": Outcome.NO_EVIDENCE,
        "warnings": [text],
        "candidate": task,
        "baseline": task,
        "rejected": [{**task, "reason": text}],
        "gates": [{**gate_row(metric=text), "title": text, "series": text, "slice_of": text, "reason": text}],
        "differences": [differing],
        "differences_total": 1,
        "remote_run": {**launch, "task": task, "until": None, "seconds": {}},
        "rerun": {"of": "r", "said": text},
    }


@pytest.mark.parametrize(
    "spelling", [HELD, f"{HELD[:6]}\x1b[31m{HELD[6:]}", quote(quote(HELD, safe=""), safe=""), "AKIAIOSFODNN7EXAMPLE"]
)
def test_exits__secret_in_every_text_of_others__is_in_none(
    server: GitHubServer,
    issue: Issue,
    clearml: ClearML,
    client: Client,
    project: Project,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    spelling: str,
) -> None:
    github, commit = signed_in(server), issue.repository.get_pull(1).head.sha
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(tmp_path / name))
    check = Check(commit, PullRequest(FULL_NAME, 1, (), server.api_url), "Digits", "", (), "Best")
    document = planted(check, f"x {spelling} y")
    body = comment.comment(document, [Summary(spelling, spelling, 1.0, 1.0, 1.0)])
    publish.verdict(github, check, document, body)
    publish.check_run(github, check, document, body, started=None, warnings=[spelling])
    issues.upsert(github, marker="<!-- clearml-ci audit -->", title=spelling, body=body, open_=True)
    workflow_output.conclude(document, title=spelling, comment_url="", body=body)
    workflow_output.fault(ValueError(spelling))
    run = project.run(pull_request="1")
    run_results.store(clearml, run, {"verdict": document})
    run_results.publish_verdict(clearml, run, document, body)
    charts = Charts({0: Curves(((0.0, 1.0),))}, {0: History((1.0,), 1.0, 0.0, 2.0)})
    task_plots.report(clearml, {run: plots.of_verdict(document, Pages(spelling, spelling), charts)})
    (posted,) = issue.get_comments()
    (found,) = client.call("tasks.get_all", id=[run])["tasks"]
    artifacts = found["execution"]["artifacts"]
    (check_run,) = issue.repository.get_commit(commit).get_check_runs()
    (status,) = issue.repository.get_commit(commit).get_combined_status().statuses
    (made,) = [other for other in issue.repository.get_issues() if other.pull_request is None]
    exits = {
        "comment": posted.body,
        "status": status.description,
        "check run": f"{check_run.output.title} {check_run.output.summary}",
        "issue": f"{made.title} {made.body}",
        "log": "".join(capsys.readouterr()),
        "outputs": (tmp_path / "GITHUB_OUTPUT").read_text(),
        "summary": (tmp_path / "GITHUB_STEP_SUMMARY").read_text(),
        "task": json.dumps(found),
        **{artifact["key"]: requests.get(artifact["uri"], timeout=9).text for artifact in artifacts},
        "plots": json.dumps(client.call("events.get_task_plots", task=run)),
    }
    plain = {place: text.replace("\\", "").replace("\u2060", "") for place, text in exits.items()}
    assert {place: "***" in text for place, text in plain.items()} == dict.fromkeys(exits, True)
    assert [place for place, text in plain.items() if spelling[:6] in text or spelling[-6:] in text] == []


def test_job__held_value__is_masked_in_log_outputs_and_summary(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(tmp_path / name))
    check = Check("c" * 40, PullRequest(FULL_NAME, 1, (), ""), "Digits", "", (), "Best")
    document: Any = verdict.error(check, run={"id": "r", "url": "u"}, reason=TEXT)
    workflow_output.conclude(document, title="t", comment_url="", body=comment.comment(document, []))
    workflow_output.fail(TEXT)
    workflow_output.fault(ValueError(TEXT))
    outputs = (tmp_path / "GITHUB_OUTPUT").read_text()
    for text in (outputs, (tmp_path / "GITHUB_STEP_SUMMARY").read_text(), "".join(capsys.readouterr())):
        assert_masked(text)
    line = next(line for line in outputs.splitlines() if line.startswith("verdict_json="))
    assert json.loads(line.partition("=")[2])["exit_reason"].startswith("accuracy")


def test_main__secrets_of_its_environment__are_registered_with_the_runner(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("DB_PASSWORD", "two%words\nand-a-longer-third-one")
    monkeypatch.setenv("API_TOKEN", "ab%cd-1")
    monkeypatch.setattr("sys.argv", ["ci_trigger.py", "validate", str(tmp_path / "ab%cd-1.yml")])
    assert main() == 2
    lines = capsys.readouterr().out.splitlines()
    assert {"::add-mask::ab%25cd-1", "::add-mask::and-a-longer-third-one"} <= set(lines)
    assert "ab%cd-1" not in lines[-1] and "***" in lines[-1]


def test_protect__errors_and_logs_of_libraries__are_masked() -> None:
    """In a process of its own, which ends with the error."""
    code = """
import logging, os, sys, threading
from clearml_ci.core import console
library = logging.getLogger("library")
library.addHandler(logging.StreamHandler())
console.protect(os.environ)
library.warning("upload with %s failed", os.environ["DB_PASSWORD"])
library.warning("wrong number of arguments", os.environ["DB_PASSWORD"])
def fail():
    raise ValueError(os.environ["DB_PASSWORD"])
try:
    fail()
except ValueError:
    library.exception("again")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""
    environment = {"PATH": os.environ["PATH"], "DB_PASSWORD": HELD}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    printed = ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert HELD not in printed
    assert printed.count("ValueError: ***") == 3
    assert "upload with *** failed" in printed


def test_main__secrets_of_clearml_conf__are_registered_with_the_runner(tmp_path: Path) -> None:
    """In a process of its own, as below."""
    (tmp_path / "clearml.conf").write_text(json.dumps({"agent": {"git_pass": "a-git-pass"}}))
    environment = {
        "PATH": os.environ["PATH"],
        "GITHUB_ACTIONS": "true",
        "CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf"),
    }
    command = [sys.executable, "ci_trigger.py", "validate", "none.yml"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "::add-mask::a-git-pass" in ended.stdout.splitlines()


def test_register__clearml_conf_that_cannot_be_parsed__is_one_line(tmp_path: Path) -> None:
    (tmp_path / "clearml.conf").write_text("api { secret_key: 'a-secret-key', a = [ ")
    environment = {"PATH": os.environ["PATH"], "CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf")}
    command = [sys.executable, "ci_trigger.py", "register"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert ended.returncode == 2
    assert line.startswith("error: ClearML CI: clearml.conf: Failed parsing ")
    assert "a-secret-key" not in line


def test_protect__log_of_a_library_with_commands_for_the_runner__is_a_text() -> None:
    code = """
import logging, os
from clearml_ci.core import console
logging.getLogger("library").addHandler(logging.StreamHandler())
console.protect(os.environ)
logging.getLogger("library").warning("refused:\\n::stop-commands::x ##[group]y")
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "stop-commands" in ended.stderr
    assert not [line for line in ended.stderr.splitlines() if line.startswith("::") or "##[" in line]


def test_connect__secrets_of_clearml_conf__are_held(access: Access, tmp_path: Path) -> None:
    """In a process of its own: the SDK reads its configuration once."""
    keys = {"access_key": access.access_key, "secret_key": access.secret_key}
    conf = {
        "api": {"api_server": access.api_url, "web_server": access.web_url, "credentials": keys},
        "agent": {"git_user": "a-user-name", "git_pass": "a-git-pass"},
    }
    (tmp_path / "clearml.conf").write_text(json.dumps(conf))
    code = "from clearml_ci.clearml_api import session; from clearml_ci.core import poll, redaction; import json; "
    code += "session.connect(poll.Clock()); print(json.dumps(redaction.held()))"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf"),
    }
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert set(json.loads(ended.stdout.splitlines()[-1])) == {access.access_key, access.secret_key, "a-git-pass"}


def test_credentials__key_of_an_app_in_a_file__is_held(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEAabcdef\n-----END PRIVATE KEY-----"
    (tmp_path / "app.pem").write_text(key)
    credentials.from_environment(
        {"CLEARML_CI_APP_ID": "1", "CLEARML_CI_APP_PRIVATE_KEY_FILE": str(tmp_path / "app.pem")}
    )
    assert {key, "MIIEowIBAAKCAQEAabcdef"} <= set(redaction.held())


def test_create__text_of_the_sdk__is_masked(clearml: ClearML, prefix: str) -> None:
    """The SDK names what it was given, and the addresses that it could not reach."""
    source = Source("/none/hub_token=a-secret-of-others", "c" * 40)
    with pytest.raises(ClearMLError, match=r"hub_token=\*\*\*") as raised:
        options = {"script": "train.py", "working_directory": "."}
        task_creation.task(clearml, project=prefix, name="train", source=source, **options)
    assert "a-secret" not in str(raised.value)
