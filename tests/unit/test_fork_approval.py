"""Approval of a fork's commit."""

from dataclasses import replace

import pytest

from clearml_ci.decisions import fork_approval
from clearml_ci.parameters import check
from clearml_ci.parameters.check import Check
from tests.unit.drawing import CHECK, COMMIT

OTHER = "b" * 40


def fork(*, labeled_by: str = "") -> Check:
    return replace(
        CHECK,
        pull_request=replace(
            CHECK.pull_request,
            author="mallory",
            head_repository="mallory/name",
            head_url="https://github.com/mallory/name.git",
            labeled_by=labeled_by,
        ),
    )


@pytest.mark.parametrize(
    ("labeled_by", "comments", "logins"),
    [
        ("", [], []),
        ("maintainer", [], ["maintainer"]),
        ("mallory", [], []),
        ("Mallory", [], []),
        ("", [("maintainer", f"/run-remote {COMMIT}")], ["maintainer"]),
        ("", [("maintainer", f"Looks good.\r\n/run-remote {COMMIT.upper()}  \r\nthanks")], ["maintainer"]),
        ("", [("mallory", f"/run-remote {COMMIT}")], []),
        ("", [("maintainer", f"/run-remote {OTHER}")], []),
        ("", [("maintainer", f"/run-remote {COMMIT[:10]}")], []),
        ("", [("maintainer", "/run-remote")], []),
        ("", [("maintainer", f"never /run-remote {COMMIT}")], []),
        ("", [("maintainer", f"> /run-remote {COMMIT}")], []),
        ("a", [("a", f"/run-remote {COMMIT}"), ("b", f"/run-remote {COMMIT}")], ["a", "b"]),
    ],
    ids=[
        *("no-approval", "label", "label-by-the-author", "author-in-other-case", "comment", "comment-among-lines"),
        *("comment-by-the-author", "other-commit", "short-hash", "no-hash", "within-a-sentence", "quoted", "several"),
    ],
)
def test_approvers__of_label_and_comments__are_those_who_approved_this_commit(
    labeled_by: str, comments: list[tuple[str, str]], logins: list[str]
) -> None:
    assert fork_approval.approvers(fork(labeled_by=labeled_by), comments) == logins


def test_advice__for_an_unapproved_fork__names_label_command_and_commit() -> None:
    text = fork_approval.advice(fork(), label="run-me")
    assert "mallory/name" in text
    assert "'run-me'" in text
    assert f"/run-remote {COMMIT}" in text


def test_from_arguments__label_of_another_commit__approves_nothing() -> None:
    arguments = fork(labeled_by="maintainer").to_arguments()
    assert check.from_arguments(arguments).pull_request.labeled_by == "maintainer"
    assert check.from_arguments({**arguments, "commit": OTHER}).pull_request.labeled_by == ""
