"""Accepted losses, from comments on the local GitHub to the comparison, the ledger, and the notes of an audit."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import (
    acceptance_ledger,
    check_history,
    ownership,
    pipeline_runs,
    run_results,
    started_runs,
)
from clearml_ci.clearml_api.pipeline_runs import EXECUTION, Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.gate import Gate
from clearml_ci.decisions import accepted_losses as decisions
from clearml_ci.decisions.accepted_losses import Claim
from clearml_ci.github_api import repository_info
from clearml_ci.github_api.session import GitHub
from clearml_ci.job import acceptance_comment
from clearml_ci.job.reporter import Reporter
from clearml_ci.operations import accepted_losses
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import Facts, PullRequest
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB, Hub
from tests.gateways.conftest import Project
from tests.gateways.job_session import signed_in
from tests.unit.drawing import as_read, gate_row

GATES = (Gate("accuracy", "validation"), Gate("loss", "train"))
EDITED_AFTER = 1.1  # seconds: GitHub's times have no fractions


@dataclass(frozen=True)
class World:
    """A pull request of `octo-owner`, whose last check was red, and a maintainer who looks at it."""

    hub: Hub
    project: Project
    clearml: ClearML
    github: GitHub
    check: Check
    run: Run

    def comment(self, text: str, login: str = "maya", role: str = "maintain") -> Any:
        if login != "octo-owner":
            self.hub.repository.add_to_collaborators(login, role)
        return self.hub.user(login).get_repo(FULL_NAME).get_issue(1).create_comment(text)

    def accept(self, reason: str = "worth it", **by: str) -> Any:
        return self.comment(f"{decisions.COMMAND} {self.check.commit} {reason}", **by)

    def judge(self, *values: float, github: GitHub | None = None, **changes: Any) -> Any:
        rows = [gate_row("regressed", gate.name, value=value) for gate, value in zip(GATES, values, strict=False)]
        result: Any = {"outcome": "regressed", "reason": "why", "gates": rows, "warnings": []}
        check = replace(self.check, **changes)
        return accepted_losses.judge(self.clearml, github or self.github, self.run, check, as_read(result))

    def checked(self, *values: float, outcome: str = "regressed") -> str:
        """Leave a check that showed these values, as its step and its status do; the address of its page."""
        run = self.project.run(pull_request="1", commit=self.check.commit)
        rows = [gate_row(outcome, gate.name, value=value) for gate, value in zip(GATES, values, strict=False)]
        verdict = {"gates": rows, "candidate": None, "accepted": []}
        run_results.store(self.clearml, self.project.step(run, "report"), {"verdict": verdict})
        self.project.client.call("tasks.completed", task=run)
        url = pipeline_runs.read(self.clearml, run).url
        commit = self.hub.repository.get_commit(self.check.commit)
        commit.create_status("failure", url, "regressed", self.check.check_name)
        return url


@pytest.fixture
def world(hub: Hub, server: GitHubServer, project: Project, clearml: ClearML) -> Iterator[World]:
    pull = hub.repository.get_pull(1)
    check = Check(
        pull.head.sha,
        PullRequest(FULL_NAME, 1, (), server.api_url, author="octo-owner", head_repository=FULL_NAME),
        "",
        "",
        GATES,
        "Best",
    )
    started = project.run(pull_request="1", commit=check.commit)
    started_runs.mark(clearml, started)
    run = pipeline_runs.read(clearml, started)
    yield World(hub, project, clearml, signed_in(server), check, run)


def test_judge__comment_of_a_maintainer__accepts_what_the_last_check_showed(world: World) -> None:
    world.checked(0.9, 0.5)
    written = world.accept()
    result = world.judge(0.9, 0.5)
    assert (result["outcome"], [row["outcome"] for row in result["gates"]]) == ("accepted", ["accepted"] * 2)
    assert [(found["metric"], found["by"], found["reason"], found["comment"]) for found in result["accepted"]] == [
        (gate.name, "maya", "worth it", written.html_url) for gate in GATES
    ]
    assert "accepted by maya: worth it" in result["reason"]
    assert (result["warnings"], world.judge(0.9, 0.4)["outcome"]) == ([], "regressed")


def test_judge__one_gate__leaves_the_other_red(world: World) -> None:
    world.checked(0.9, 0.5)
    world.accept("loss/train worth it")
    result = world.judge(0.9, 0.5)
    assert (result["outcome"], [row["outcome"] for row in result["gates"]]) == ("regressed", ["regressed", "accepted"])


def test_judge__written_twice__is_as_once(world: World) -> None:
    world.checked(0.9)
    first = world.accept()
    world.accept("again")
    assert [found["comment"] for found in world.judge(0.9)["accepted"]] == [first.html_url]


def test_judge__rerun_with_edited_parameters__accepts_nothing_and_says_so(world: World) -> None:
    world.checked(0.9)
    world.accept()
    edit = [{"section": "Args", "name": "threshold_percent", "value": "9", "type": "str"}]
    world.project.client.call("tasks.edit_hyper_params", task=world.run.id, hyperparams=edit, force=True)
    result = world.judge(0.9)
    assert (result["outcome"], result.get("accepted", [])) == ("regressed", [])
    (warning,) = result["warnings"]
    assert warning.startswith("This rerun accepts no loss: its parameters were edited")


def test_judge__run_that_was_seen_is_executed_again__accepts_nothing_and_says_so(world: World) -> None:
    """Reset and Enqueue of the run leave its address, and its verdict is another one."""
    seen = check_history.run_at(world.checked(0.9))
    world.accept()
    again = world.project.step(seen, "report")
    world.project.client.call("tasks.edit", task=again, runtime={**marks_of(again, seen), EXECUTION: "second"})
    verdict = {"gates": [gate_row("regressed", GATES[0].name, value=0.5)], "candidate": None, "accepted": []}
    run_results.store(world.clearml, again, {"verdict": verdict})
    result = world.judge(0.7)
    assert result["outcome"] == "regressed"
    (warning,) = result["warnings"]
    assert "the run that it had seen was executed again since" in warning


def test_judge__run_that_was_seen_is_deleted__accepts_nothing_and_says_so(world: World) -> None:
    seen = check_history.run_at(world.checked(0.9))
    world.accept()
    world.project.client.call("tasks.delete", task=seen, force=True)
    result = world.judge(0.9)
    said = "The comment of maya accepts nothing: the run that it had seen is gone, or runs again."
    assert (result["outcome"], result["warnings"]) == ("regressed", [said])


def marks_of(step: str, run: str) -> dict[str, str]:
    return ownership.marks(step, run=run, purpose="step")


def test_newest__many_comments_of_one_writer__push_no_other_writer_out() -> None:
    maintainer = Claim("maya", "worth it", "first", "2026-01-01T00:00:00Z", edited=False)
    others = [replace(maintainer, login="mallory", comment=str(number)) for number in range(50)]
    assert accepted_losses.newest([maintainer, *others]) == [maintainer, *others[-20:]]


def test_judge__before_any_check__accepts_nothing_and_says_so(world: World) -> None:
    world.accept()
    time.sleep(EDITED_AFTER)
    world.checked(0.9)
    result = world.judge(0.9)
    said = "The comment of maya accepts nothing: no check of this commit had shown a loss when it was written."
    assert (result["outcome"], result["warnings"]) == ("regressed", [said])


def test_judge__value_that_is_worse_than_the_one_seen__is_red_again_until_that_is_accepted(world: World) -> None:
    world.checked(0.9)
    world.accept()
    result = world.judge(0.85)
    said = "accuracy/validation is 0.85, worse than the 0.9 that maya accepted."
    assert (result["outcome"], result["warnings"]) == ("regressed", [said])
    time.sleep(EDITED_AFTER)
    world.checked(0.85)
    world.accept("that, too")
    assert world.judge(0.85)["outcome"] == "accepted"


def test_judge__edited_later__does_not_count(world: World) -> None:
    world.checked(0.9)
    written = world.accept()
    time.sleep(EDITED_AFTER)
    written.edit(f"{decisions.COMMAND} {world.check.commit} for another reason")
    result = world.judge(0.9)
    assert (result["outcome"], "was edited" in result["warnings"][0]) == ("regressed", True)


@pytest.mark.parametrize(
    ("login", "role", "why"),
    [
        ("wanda", "push", "the role 'write' is not enough, it takes 'maintain'"),
        ("tim", "triage", "the role 'triage' is not enough, it takes 'maintain'"),
        ("octo-owner", "", "the author of the pull request may not accept its losses"),
    ],
)
def test_judge__comment_of_one_who_may_not__accepts_nothing_and_says_so(
    world: World, login: str, role: str, why: str
) -> None:
    world.checked(0.9)
    world.accept(login=login, role=role)
    result = world.judge(0.9)
    assert (result["outcome"], result["warnings"]) == (
        "regressed",
        [f"The comment of {login} accepts nothing: {why}."],
    )


def test_judge__role_lost_since__accepts_nothing(world: World) -> None:
    world.checked(0.9)
    world.accept()
    assert world.judge(0.9)["outcome"] == "accepted"
    world.hub.repository.remove_from_collaborators("maya")
    assert world.judge(0.9)["outcome"] == "regressed"


def test_judge__by_policy__a_writer_and_the_author_may(world: World) -> None:
    world.checked(0.9)
    world.accept(login="octo-owner")
    assert world.judge(0.9, accept_author=True)["outcome"] == "accepted"


@pytest.mark.parametrize("text", ["> {}", "Fine.\n{}", "```\n{}\n```", "{}\n<!-- clearml-ci: o/n#1 -->"])
def test_judge__quoted_or_below__accepts_nothing(world: World, text: str) -> None:
    world.checked(0.9)
    world.comment(text.format(f"{decisions.COMMAND} {world.check.commit} worth it"))
    result = world.judge(0.9)
    assert (result["outcome"], result["warnings"]) == ("regressed", [])


def test_judge__of_a_program__accepts_nothing(world: World) -> None:
    world.checked(0.9)
    bot = world.hub.seen_by("workflow", permissions=JOB)
    bot.get_issue(1).create_comment(f"{decisions.COMMAND} {world.check.commit} worth it")
    result = world.judge(0.9)
    assert (result["outcome"], result["warnings"]) == ("regressed", [])


def test_judge__next_push__ends_it(world: World) -> None:
    world.checked(0.9)
    world.accept()
    head = world.hub.commit("better", text="pushed\n")
    result = world.judge(0.9, commit=head)
    assert (result["outcome"], result["warnings"]) == ("regressed", [])


def test_judge__status_that_leads_to_another_commits_run__accepts_nothing(world: World) -> None:
    other = world.project.run(pull_request="1", commit="e" * 40)
    rows = [gate_row("regressed", GATES[0].name, value=0.1)]
    run_results.store(world.clearml, world.project.step(other, "report"), {"verdict": {"gates": rows}})
    commit = world.hub.repository.get_commit(world.check.commit)
    commit.create_status("failure", pipeline_runs.read(world.clearml, other).url, "red", world.check.check_name)
    world.accept()
    assert world.judge(0.9)["outcome"] == "regressed"


@pytest.mark.parametrize("outcome", ["no_evidence", "inconclusive", "error"])
def test_judge__what_is_no_loss__reads_nothing_and_stays(world: World, outcome: str) -> None:
    result: Any = {"outcome": outcome, "reason": "why", "gates": [gate_row(outcome)], "warnings": []}
    world.checked(0.9)
    world.accept()
    judged = accepted_losses.judge(world.clearml, world.github, world.run, world.check, as_read(result))
    assert judged == result


def test_judge__agent_without_credentials__counts_what_the_job_read(world: World) -> None:
    world.checked(0.9)
    world.accept()
    facts = Facts(accepted=tuple(accepted_losses.read(world.github, world.check)))
    result: Any = {"outcome": "regressed", "reason": "", "gates": [gate_row("regressed", value=0.9)], "warnings": []}
    check = replace(world.check, facts=facts)
    judged = accepted_losses.judge(world.clearml, None, world.run, check, as_read(result))
    assert judged["outcome"] == "accepted"


def test_role__of_a_user__is_the_one_that_github_has(world: World) -> None:
    for login, given, role in (("a", "push", "write"), ("b", "maintain", "maintain"), ("c", "triage", "triage")):
        world.hub.repository.add_to_collaborators(login, given)
        assert repository_info.role(world.github, login) == role
    assert repository_info.role(world.github, "octo-owner") == "admin"
    assert repository_info.role(world.github, "nobody-there") == "none"


def test_ledger__entry__is_found_by_its_own_run_alone(world: World) -> None:
    name = f"{world.project.name}/o/n/.pipelines/pr_check"
    project = world.project.client.call("projects.create", name=name)["id"]
    own = replace(world.project, id=project, name=name)
    run, clone = own.run(pull_request="7"), own.run(pull_request="7")
    accepted = decisions.grants(
        accepted_losses.read(world.github, world.check)[0] if world.checked(0.9) and world.accept() else None,  # type: ignore[arg-type]
        [gate_row("regressed", value=0.9)],
    )
    acceptance_ledger.record(
        world.clearml,
        {"run": run, "url": "https://evil.example", "pull_request": 7, "commit": "c" * 40, "accepted": accepted},
    )
    copied = world.project.client.call("tasks.get_by_id", task=run)["task"]["configuration"]
    world.project.client.call("tasks.edit", task=clone, configuration=copied, tags=[acceptance_ledger.TAG], force=True)
    (found,) = acceptance_ledger.entries(world.clearml, name)
    assert (found["run"], found["accepted"]) == (run, accepted)
    assert found["url"] == pipeline_runs.read(world.clearml, run).url


@pytest.mark.parametrize("edit", [{"commit": 7}, {"value": 10**400}, {"metric": []}, {"value": True}])
def test_ledger__entry_that_a_user_edited__is_left_out(world: World, edit: dict[str, Any]) -> None:
    name = f"{world.project.name}/o/n/.pipelines/pr_check"
    own = replace(world.project, id=world.project.client.call("projects.create", name=name)["id"], name=name)
    run = own.run(pull_request="7")
    loss = {"metric": "a/b", "goal": "maximize", "which": "best", "value": 0.9, "by": "", "reason": "", "comment": ""}
    loss = {**loss, "at": "", **edit}
    entry: Any = {"run": run, "url": "", "pull_request": 7, "commit": "c" * 40, "accepted": [loss]}
    acceptance_ledger.record(world.clearml, entry | {key: edit[key] for key in edit if key in entry})
    assert list(acceptance_ledger.entries(world.clearml, name)) == []


# --- the comment as the event of a job


def environ(world: World, directory: Path, written: Any, *, action: str = "created", **more: Any) -> dict[str, str]:
    event = {
        "action": action,
        "issue": {"number": 1, "state": "open", "pull_request": {"url": "https://api.github.com/pulls/1"}},
        "comment": {"html_url": written.html_url, "body": written.body, "user": {"login": written.user.login}},
        "repository": {"full_name": FULL_NAME, "default_branch": "main"},
        **more,
    }
    (directory / "event.json").write_text(json.dumps(event))
    return {
        "GITHUB_EVENT_NAME": "issue_comment",
        "GITHUB_EVENT_PATH": str(directory / "event.json"),
        "GITHUB_API_URL": world.hub.server.api_url,
        "GITHUB_TOKEN": world.hub.server.token("workflow", repository=FULL_NAME, permissions=JOB),
    }


def test_event__comment_that_accepts__is_the_pull_request_as_it_is_now(world: World, tmp_path: Path) -> None:
    world.checked(0.9)
    given = environ(world, tmp_path, world.accept())
    event, reason = acceptance_comment.pull_request(given)
    assert event is not None
    assert (event["pull_request"]["head"]["sha"], reason) == (world.check.commit, "")
    assert acceptance_comment.refusal(given, world.check) == ""


def test_event__comment_of_one_who_may_not__starts_nothing(world: World, tmp_path: Path) -> None:
    world.checked(0.9)
    given = environ(world, tmp_path, world.accept(login="wanda", role="push"))
    assert "the role 'write' is not enough" in acceptance_comment.refusal(given, world.check)


@pytest.mark.parametrize(
    ("text", "changes", "reason"),
    [
        ("Nice.", {}, "begins with no line"),
        ("{line}", {"issue": {"number": 1}}, "begins with no line"),
        ("{line}", {"action": "edited"}, "only a new comment"),
        ("/accept-regression " + "e" * 40 + " worth it", {}, "names the commit eeeeeeeeee"),
    ],
)
def test_event__comment_that_asks_for_nothing__is_told(
    world: World, tmp_path: Path, text: str, changes: dict[str, Any], reason: str
) -> None:
    written = world.comment(text.format(line=f"{decisions.COMMAND} {world.check.commit} worth it"))
    event, why = acceptance_comment.pull_request(environ(world, tmp_path, written, **changes))
    assert (event, reason in why) == (None, True)


def test_event__pull_request_that_is_closed__is_told(world: World, tmp_path: Path) -> None:
    written = world.accept()
    world.hub.repository.get_pull(1).edit(state="closed")
    event, why = acceptance_comment.pull_request(environ(world, tmp_path, written))
    assert (event, why) == (None, "pull request #1 is not open any more")


def test_facts__role_that_the_token_may_not_read__cost_only_the_acceptances(world: World) -> None:
    world.checked(0.9)
    world.accept()
    reader = world.hub.server.token("pat", login="wanda")  # without push access, GitHub shows no role
    world.hub.user("wanda")
    github = replace(world.github, repository=world.hub.client(reader).get_repo(FULL_NAME))
    reporter = Reporter(github, replace(world.check, pull_request=replace(world.check.pull_request, base="main")))
    facts = reporter.facts(None)
    assert (facts.accepted, list(facts.committed)) == ((), [world.check.commit])
    assert "the role of maya" in reporter.warnings[0]
