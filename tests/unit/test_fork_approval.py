"""Approval of a fork's commit."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from clearml_ci.decisions import fork_approval
from clearml_ci.decisions.fork_approval import Labeling
from clearml_ci.parameters.check import Check
from clearml_ci.report import comment
from tests.unit.drawing import CHECK, COMMIT

OTHER = "b" * 40
CLICK = datetime(2026, 11, 26, 12, 0, tzinfo=timezone.utc)


def fork() -> Check:
    return replace(
        CHECK,
        pull_request=replace(
            CHECK.pull_request,
            author="mallory",
            head_repository="mallory/name",
            head_url="https://github.com/mallory/name.git",
        ),
    )


def labeled(login: str, *, after: float = 3600, head: str = COMMIT) -> Labeling:
    """The label, so many seconds after the fork was last pushed to."""
    return Labeling(login, CLICK, head, CLICK - timedelta(seconds=after))


@pytest.mark.parametrize(
    ("comments", "logins"),
    [
        ([], []),
        ([("maintainer", f"/run-remote {COMMIT}")], ["maintainer"]),
        ([("maintainer", f"\r\n\n /run-remote  {COMMIT.upper()}  \r\nthanks")], ["maintainer"]),
        ([("maintainer", f"Looks good.\n/run-remote {COMMIT}")], []),
        ([("mallory", f"/run-remote {COMMIT}")], []),
        ([("Mallory", f"/run-remote {COMMIT}")], []),
        ([("maintainer", f"/run-remote {OTHER}")], []),
        ([("maintainer", f"/run-remote {COMMIT[:10]}")], []),
        ([("maintainer", f"/run-remote {COMMIT}0")], []),
        ([("maintainer", "/run-remote")], []),
        ([("maintainer", f"/run-remote\n{COMMIT}")], []),
        ([("maintainer", f"never /run-remote {COMMIT}")], []),
        ([("maintainer", f"/run-remote {COMMIT} is what you wrote")], []),
        ([("maintainer", f"> /run-remote {COMMIT}")], []),
        ([("maintainer", f"    /run-remote {COMMIT}")], []),
        ([("maintainer", f"\t/run-remote {COMMIT}")], []),
        ([("maintainer", f"```\n/run-remote {COMMIT}\n```")], []),
        ([("maintainer", f"<!--\n/run-remote {COMMIT}\n-->")], []),
        ([("maintainer", f"/run-remote {COMMIT}\n<!-- clearml-ci: o/n#7 -->")], []),
        ([("a", f"/run-remote {COMMIT}"), ("b", f"/run-remote {COMMIT}")], ["a", "b"]),
    ],
    ids=[
        *("none", "comment", "first-line", "later-line", "by-the-author", "author-in-other-case", "other-commit"),
        *("short-hash", "longer-hash", "no-hash", "hash-on-the-next-line", "within-a-sentence", "before-a-sentence"),
        *("quoted", "indented-code", "tab-is-code", "code-fence", "html-comment", "our-marker", "several"),
    ],
)
def test_approvers__of_comments__are_those_whose_first_line_approves_this_commit(
    comments: list[tuple[str, str]], logins: list[str]
) -> None:
    assert fork_approval.approvers(fork(), comments) == logins


def test_approvers__our_own_comment_with_the_console_of_an_approved_commit__approves_nothing() -> None:
    body = f"{comment.marker('o/n', 7)}\nepoch 1\n/run-remote {COMMIT}\n"
    assert fork_approval.approvers(fork(), [("owner-of-the-token", body)]) == []


@pytest.mark.parametrize(
    ("labeling", "logins", "reason"),
    [
        (labeled("maintainer"), ["maintainer"], ""),
        (labeled("maintainer", after=60), ["maintainer"], ""),
        (labeled("mallory"), [], ""),
        (labeled("maintainer", after=59), [], "the label was added 59 s after the last push to the fork"),
        (labeled("maintainer", after=-1), [], "the fork was pushed to after the label was added"),
        (labeled("maintainer", head=OTHER), [], "the pull request has moved on to bbbbbbbbbb"),
        (replace(labeled("maintainer"), pushed=None), [], "GitHub does not state when the fork was last pushed to"),
    ],
    ids=["seen", "just-seen", "by-the-author", "hardly-seen", "push-after", "another-head", "push-unknown"],
)
def test_approvers__of_the_label__approve_only_what_was_there_to_be_seen(
    labeling: Labeling, logins: list[str], reason: str
) -> None:
    assert fork_approval.approvers(fork(), [], labeling) == logins
    advice = fork_approval.advice(fork(), label="safe", labeling=labeling)
    assert reason in advice
    assert f"comment: /run-remote {COMMIT}" in advice


def test_advice__for_an_unapproved_fork__names_label_command_and_commit() -> None:
    text = fork_approval.advice(fork(), label="run-me")
    assert "mallory/name" in text
    assert "'run-me'" in text
    assert f"/run-remote {COMMIT}" in text
