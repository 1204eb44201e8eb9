"""The scenarios of `make demo`, each a small story with a known end. The end-to-end tests run the same ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sandbox.scenarios import audits, developer, promotions, remote_runs, reports, story
from sandbox.scenarios.audits import Audited
from sandbox.scenarios.story import Checked, Story, StoryError

End = TypeVar("End", Checked, Audited)


@dataclass(frozen=True)
class Scenario(Generic[End]):
    """`play` runs it; the others are the known end: the trigger's outcome and exit code, the state of the commit's
    status, words that the comment must contain, and how many comments there are: a job that is cancelled leaves none.
    A job that does not wait (`waits`) knows no outcome.
    """

    play: Callable[[Story], End]
    outcome: str
    exit_code: int
    status: str
    says: tuple[str, ...] = ()
    comments: int = 1
    waits: bool = True


def first_model(tale: Story) -> Checked:
    """The project has tasks, and no best among them: nothing to compare with."""
    return story.check(tale, story.propose(tale, "first-model", "Train a first model", hidden_units=8))


def better(tale: Story) -> Checked:
    story.ensure_best(tale)
    return story.check(tale, story.propose(tale, "better", "Four times the hidden units", hidden_units=64))


def within_tolerance(tale: Story) -> Checked:
    """A little less accurate than the best, by less than the tolerance; the tag stays where it is."""
    best = story.ensure_best(tale)
    pull = story.propose(tale, "within-tolerance", "Smaller steps", hidden_units=32, learning_rate=0.003)
    checked = story.check(tale, pull)
    if story.tagged_best(tale) != [best]:
        raise StoryError(f"the best was {best}, and now is {story.tagged_best(tale)}: a check must not move it")
    return checked


def worse(tale: Story) -> Checked:
    story.ensure_best(tale)
    pull = story.propose(tale, "worse", "A much smaller model", hidden_units=8, learning_rate=0.003)
    return story.check(tale, pull)


def untested(tale: Story) -> Checked:
    """Nobody ran this commit."""
    story.ensure_best(tale)
    return story.check(tale, story.propose(tale, "untested", "Trust me, it works", trained=False, epochs=12))


def dirty(tale: Story) -> Checked:
    """It was run, with a change that was never committed."""
    story.ensure_best(tale)
    pull = story.propose(tale, "dirty", "Longer training", trained=False, epochs=12)
    developer.edit(tale.laptop, hidden_units=64)
    story.train(tale)
    tale.laptop.git("checkout", "-q", "--", ".")
    return story.check(tale, pull)


def pushed_again(tale: Story) -> Checked:
    """A worse model, and a commit that repairs it: one comment, which tells of the second."""
    story.ensure_best(tale)
    pull = story.propose(tale, "pushed-again", "Too small a model", hidden_units=4)
    story.check(tale, pull)
    story.push(tale, "The old size, with smaller steps", hidden_units=32, learning_rate=0.003)
    return story.check(tale, pull, action="synchronize")


SHORT_STORY = {
    "first-model": Scenario(first_model, "no_baseline", 0, "success"),
    "better": Scenario(better, "improved", 0, "success"),
    "within-tolerance": Scenario(within_tolerance, "passed", 0, "success"),
    "worse": Scenario(worse, "regressed", 1, "failure"),
    "untested": Scenario(untested, "no_evidence", 1, "failure"),
    "dirty": Scenario(dirty, "no_evidence", 1, "failure", says=("uncommitted changes",)),
    "pushed-again": Scenario(pushed_again, "passed", 0, "success"),
}
ON_AGENTS = {
    "probe-ok": Scenario(remote_runs.probe_ok, "passed", 0, "success"),
    "probe-broken": Scenario(
        remote_runs.probe_broken, "no_evidence", 1, "failure", says=("import", "No module named 'ray'")
    ),
    "train": Scenario(remote_runs.train, "improved", 0, "success"),
    "gpu-tests": Scenario(
        remote_runs.gpu_tests, "no_evidence", 1, "failure", says=("test_model_reads_four_of_five_digits",)
    ),
    "fork-unapproved": Scenario(remote_runs.fork_unapproved, "no_evidence", 1, "failure", says=("/run-remote",)),
    "fork-approved": Scenario(remote_runs.fork_approved, "passed", 0, "success"),
    "cancelled": Scenario(remote_runs.cancelled, "error", 4, "failure", comments=0),
    "superseded": Scenario(remote_runs.superseded, "passed", 0, "success"),
}
PROMOTIONS = {
    "merge-promotes": Scenario(promotions.merge_promotes, "passed", 0, "success", says=("Merged as",)),
    "merge-squash": Scenario(promotions.merge_squash, "passed", 0, "success", says=("Merged as",)),
    "merge-not-better": Scenario(promotions.merge_not_better, "passed", 0, "success", says=("the tag stays",)),
    "promote-twice": Scenario(promotions.promote_twice, "passed", 0, "success", says=("Merged as",)),
    "rollback": Scenario(promotions.rollback, "passed", 0, "success", says=("Rolled back", "is back on")),
    "rerun-edited": Scenario(promotions.rerun_edited, "passed", 0, "success", says=("threshold_percent 3 → 50",)),
}
REPORTS = {
    "multi-metric": Scenario(
        reports.multi_metric, "passed", 0, "success", says=("accuracy/validation", "loss/train", "advisory)")
    ),
    "not-alike": Scenario(
        reports.not_alike, "inconclusive", 3, "failure", says=("Args/dataset_share is 0.25, was 1.0",)
    ),
    "zero-baseline": Scenario(reports.zero_baseline, "passed", 0, "success", says=("data/skipped images",)),
    "huge": Scenario(reports.huge, "improved", 0, "success", says=("this commit's task (2000)",)),
    "no-token": Scenario(reports.no_token, "improved", 0, "success"),
    "app-token": Scenario(reports.app_token, "improved", 0, "success"),
    "detached": Scenario(reports.detached, "regressed", 0, "failure", waits=False),
}
# What later capabilities add; `make demo ALL=1` runs these after the short story.
FURTHER = {**ON_AGENTS, **PROMOTIONS, **REPORTS}
EVERY = {**SHORT_STORY, **FURTHER}
# These are about the whole repository, and come last.
AUDITS = {
    "audit-green": Scenario(audits.green, "passed", 0, "", comments=0),
    "audit-findings": Scenario(
        audits.findings_and_repair,
        "regressed",
        1,
        "",
        says=("several bests", "archived best", "leftover", "unmarked leftover", "no workers"),
    ),
    "scheduled-audit": Scenario(audits.scheduled, "passed", 0, "", comments=0, waits=False),
}
