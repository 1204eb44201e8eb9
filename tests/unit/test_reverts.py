"""The merges that a later commit reverted, by what messages say."""

import pytest

from clearml_ci.decisions import reverts
from clearml_ci.decisions.reverts import Message

A, B, C = "a" * 40, "b" * 40, "c" * 40


@pytest.mark.parametrize(
    ("text", "merge"),
    [
        pytest.param(f'Revert "x"\n\nThis reverts commit {A}.', "More units (#12)", id="git's message"),
        pytest.param(f"Back to the old rate\n\nThis reverts commit {A[:10]}", "More units", id="short hash"),
        pytest.param('Revert "More units" (#13)\n\nReverts octo-owner/digits#12', "More units (#12)", id="GitHub's"),
        pytest.param('Revert "y" (#13)\n\nReverts #12', "Merge pull request #12 from o/b\n\nMore units", id="merge"),
        pytest.param('Revert "More units (#12)"', "More units (#12)", id="subject of a squash"),
        pytest.param('Revert "More units"', "Merge pull request #12 from o/b\n\nMore units", id="title of a merge"),
    ],
)
def test_reverted__message_that_names_a_merge__is_found(text: str, merge: str) -> None:
    assert reverts.reverted([Message(B, text), Message(A, merge)]) == {A: B}


@pytest.mark.parametrize(
    ("text", "merge"),
    [
        pytest.param('Revert "Other"', "More units", id="another subject"),
        pytest.param("Reverts to the mean", "More units (#12)", id="prose"),
        pytest.param("Revert #12 someday", "More units (#12)", id="wish"),
        pytest.param("More units", "More units", id="the same subject"),
    ],
)
def test_reverted__message_that_names_none__is_nothing(text: str, merge: str) -> None:
    assert reverts.reverted([Message(B, text), Message(A, merge)]) == {}


def test_reverted__revert_that_was_reverted__reverts_nothing() -> None:
    messages = [
        Message(C, f'Reapply "x"\n\nThis reverts commit {B}.'),
        Message(B, f'Revert "x"\n\nThis reverts commit {A}.'),
        Message(A, "x"),
    ]
    assert reverts.reverted(messages) == {B: C}


def test_reverted__head_of_a_squashed_pull_request__counts_although_the_branch_lacks_it() -> None:
    assert reverts.reverted([Message(B, f"Revert\n\nThis reverts commit {A}.")]) == {A: B}
