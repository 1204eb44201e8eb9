"""The backtest of a pull request that changes the policy file: a comment of its own."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from github.PullRequest import PullRequest as GitHubPullRequest

from clearml_ci.job import policy_change
from clearml_ci.job.settings import Queues, Settings
from clearml_ci.parameters.pull_request import PullRequest
from clearml_ci.policy import policy_file
from sandbox.testing.hub import FULL_NAME, JOB, Hub
from tests.clock import fast_clock
from tests.gateways.test_backtest import CHECK, POLICY, Past, past

__all__ = ["past"]  # a fixture
FILE = policy_file.FILE


@dataclass(frozen=True)
class Proposal:
    """A pull request of the local GitHub in a repository with checks in the past."""

    past: Past
    hub: Hub
    policy: str

    def pushed(self, text: str | None, *, branch: str = "policy") -> GitHubPullRequest:
        """A pull request whose head has this policy file, or changes another file."""
        if text is None:
            self.hub.commit(branch)
        else:
            self.hub.commit(branch, file=FILE, text=text)
        found = [pull for pull in self.hub.repository.get_pulls(state="open") if pull.head.ref == branch]
        return found[0] if found else self.hub.repository.create_pull(title="P", head=branch, base="main", body="")

    def check(self, pull: GitHubPullRequest, *, action: str = "opened", **changes: str) -> list[str]:
        """The bodies of the comments after the job has judged, by the policy of main."""
        server = self.hub.server
        own = PullRequest(
            FULL_NAME, pull.number, CHECK.pull_request.repositories, server.api_url, base="main", default_branch="main"
        )
        check = replace(CHECK, commit=pull.head.sha, pull_request=own, project=self.past.project.name)
        check = replace(policy_file.load(self.policy, source=FILE).governed(check), **changes)  # type: ignore[arg-type]
        token = server.token("workflow", repository=FULL_NAME, permissions=JOB)
        root = f"{self.past.root}/{FULL_NAME}"
        settings = Settings("pr_check", check, Queues("", "", ""), None, {}, root, 1, "", "", token, ())
        policy_change.post(os.environ, settings, {"action": action}, fast_clock())
        return [comment.body for comment in pull.get_issue_comments()]


@pytest.fixture
def proposal(past: Past, hub: Hub) -> Proposal:
    past = replace(past, repository=FULL_NAME)
    past.reference()
    past.merged(1, past.checked(1, 0.938, "passed"))
    policy = Path(FILE).read_text()
    hub.commit("main", file=FILE, text=policy)
    return Proposal(past, hub, policy)


def strict(past: Past, **changes: str) -> str:
    return POLICY.format(**{"project": past.project.name, "rule": "best-ever", "allowed": "0%", **changes})


def test_post__changed_policy__is_one_comment_that_judges_nothing(proposal: Proposal) -> None:
    pull = proposal.pushed(strict(proposal.past))
    (body,) = proposal.check(pull)
    assert "This judges nothing: the pull request itself is judged by the policy of its base branch." in body
    assert "policy of main" in body
    assert "| green" in body
    assert proposal.check(pull) == [body]


def test_post__later_push_takes_the_change_back__replaces_the_comment(proposal: Proposal) -> None:
    pull = proposal.pushed(strict(proposal.past))
    proposal.check(pull)
    proposal.pushed(proposal.policy)
    (body,) = proposal.check(proposal.hub.repository.get_pull(pull.number), action="synchronize")
    assert "is that of its base branch again" in body


@pytest.mark.parametrize("action", ["opened", "synchronize"])
def test_post__another_file_changed__is_no_comment(proposal: Proposal, action: str) -> None:
    assert proposal.check(proposal.pushed(None), action=action) == []


def test_post__comments_are_off__is_no_comment(proposal: Proposal) -> None:
    assert proposal.check(proposal.pushed(strict(proposal.past)), comment="off") == []


def test_post__policy_with_a_problem__is_the_message_of_its_reader(proposal: Proposal) -> None:
    (body,) = proposal.check(proposal.pushed("version: 1\nmax_regression: <b>3</b>\n"))
    assert "is not valid" in body
    assert "found an unknown key" in body
    assert "<b>" not in body


def test_post__another_project__is_not_looked_into(proposal: Proposal) -> None:
    (body,) = proposal.check(proposal.pushed(strict(proposal.past, project="Secret project")))
    assert "The file also changes project\\: the backtest looks at the tasks of main" in body
    assert "Secret" not in body


def test_post__clearml_is_away__is_a_warning(
    proposal: Proposal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLEARML_API_HOST", "http://127.0.0.1:9")
    assert proposal.check(proposal.pushed(strict(proposal.past))) == []
    assert "the backtest of the changed policy could not be made" in capsys.readouterr().out
