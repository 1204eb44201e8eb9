"""The scenarios of merges, rollbacks and reruns.

They have a best tag and a clone of their own, because they move main, which the other scenarios need unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from github.PullRequest import PullRequest

from sandbox.runtime import laptop
from sandbox.scenarios import job, story
from sandbox.scenarios.job import Job
from sandbox.scenarios.story import Checked, Story, StoryError

TAG = "Best of main"
MAIN_TAG = "main_branch"
OWN: dict[str, str | None] = {"CLEARML_BEST_TAGNAME": TAG}
BIG: dict[str, Any] = {"hidden_units": 64, "learning_rate": 0.01}
NOT_AS_GOOD: dict[str, Any] = {"hidden_units": 64, "learning_rate": 0.003}


def merge_promotes(tale: Story) -> Checked:
    """Merge a better model: its task takes the tag from the old best."""
    own, best = _beginning(tale)
    pull = _checked(own, "merge-promotes", "Four times as many units", **BIG)
    promoted = merge(own, pull)
    _require_best(own, promoted, _task_of(own, promoted), instead_of=best)
    return promoted


def merge_squash(tale: Story) -> Checked:
    """Merge by squash: no commit of the pull request is on main, and the job's event is the push to it."""
    own, best = _beginning(tale)
    pull = _checked(own, "merge-squash", "Notes on the training", files={"NOTES.md": "It takes a second.\n"}, **BIG)
    promoted = merge(own, pull, method="squash", pushed=True)
    _require_best(own, promoted, _task_of(own, promoted), instead_of=best)
    return promoted


def merge_not_better(tale: Story) -> Checked:
    """Merge a model that is worse within the tolerance; the tag stays on the better one."""
    own, _ = _beginning(tale)
    merge(own, _checked(own, "not-better-before", "The best there is", **BIG))
    (best,) = story.tagged_best(own, TAG)
    pull = _checked(own, "merge-not-better", "Smaller steps are enough", **NOT_AS_GOOD)
    kept = merge(own, pull, method="rebase")
    _require_best(own, kept, best)
    return kept


def promote_twice(tale: Story) -> Checked:
    """Promote a merge that was promoted already, by the command: the tag moves only once."""
    own, _ = _beginning(tale)
    pull = _checked(own, "promote-twice", "More notes", files={"MORE.md": "It takes two seconds.\n"}, **BIG)
    first = merge(own, pull)
    second = promote(own, pull, command=("promote",))
    _require_best(own, second, _task_of(own, first))
    if second.verdict["promotion"]["moved"]:
        raise StoryError("the tag moved a second time")
    return replace(second, earlier=(first.job,))


def rollback(tale: Story) -> Checked:
    """Roll back a promotion: the model before it is the best."""
    own, best = _beginning(tale)
    pull = _checked(own, "rollback", "Too good to be true", files={"HOPE.md": "This must be it.\n"}, **BIG)
    first = merge(own, pull)
    own.progress("ci_trigger.py rollback")
    done = job.run(own.sandbox, event={}, event_name="workflow_dispatch", settings=OWN, command=("rollback",))
    undone = story.read_back(own, pull, done, event="workflow_dispatch")
    _require_best(own, undone, best)
    return replace(undone, earlier=(first.job,))


def rerun_edited(tale: Story) -> Checked:
    """Rerun a failed check with a wider tolerance, by the call of ClearML's web UI."""
    story.ensure_best(tale)
    pull = story.propose(tale, "rerun-edited", "A very small model", hidden_units=8, learning_rate=0.003)
    first = story.check(tale, pull)
    judged = rerun(tale, pull, first.job, "threshold_percent=50")
    return replace(judged, earlier=(first.job,))


def merge(tale: Story, pull: PullRequest, *, method: str = "merge", pushed: bool = False) -> Checked:
    """Merge the pull request, and run the job of its event, or of the push to main."""
    tale.progress(f"pull request #{pull.number} is merged ({method})")
    pull.merge(merge_method=method)
    return promote(tale, pull, pushed=pushed)


def promote(tale: Story, pull: PullRequest, *, pushed: bool = False, command: tuple[str, ...] = ()) -> Checked:
    """Run the job of a merge; its event starts the promotion, so a command is not needed."""
    if not pushed:
        return story.check(tale, pull, action="closed", settings=OWN, command=command)
    tale.progress("ci_trigger.py runs for the push to main")
    done = job.run(tale.sandbox, event=push_event(tale), event_name="push", settings=OWN, command=())
    return story.read_back(tale, pull, done, event="push")


def push_event(tale: Story, *, merged: int = 1) -> dict[str, Any]:
    """Return the read fields of the payload of the newest push to main, which brought `merged` commits."""
    commits = [commit.sha for commit in tale.repository.get_commits(sha="main").get_page(0)[: merged + 1]]
    return {
        "ref": "refs/heads/main",
        "before": commits[-1],
        "after": commits[0],
        "commits": [{"id": sha} for sha in reversed(commits[:-1])],
        "repository": job.pull_request_event(tale.sandbox, _any_pull(tale), action="closed")["repository"],
    }


def rerun(
    tale: Story, pull: PullRequest, earlier: Job, *changes: str, settings: Mapping[str, str | None] | None = None
) -> Checked:
    """Run `ci_trigger.py rerun` in a shell without a GitHub token."""
    run = earlier.outputs["pipeline_id"]
    tale.progress(f"ci_trigger.py rerun {run} {' '.join(changes)}")
    shell = {"GITHUB_TOKEN": None, "GITHUB_EVENT_NAME": None, "GITHUB_EVENT_PATH": None, **(settings or {})}
    done = job.run(tale.sandbox, event={}, settings=shell, command=("rerun", run, *changes))
    return story.read_back(tale, pull, done, event="rerun")


def _any_pull(tale: Story) -> PullRequest:
    return tale.repository.get_pulls(state="all")[0]


def _beginning(tale: Story) -> tuple[Story, str]:
    """Return the story with a new clone of main, and the id of its best."""
    directory = tale.sandbox.directory / "developer" / "merges"
    clone = laptop.clone(tale.repository, directory, tale.sandbox.clearml, tale.laptop.python)
    own = replace(tale, laptop=clone)
    return own, story.ensure_best(own, TAG)


def _checked(own: Story, branch: str, message: str, **change: Any) -> PullRequest:
    """Propose a branch of the current main, and check it; return the pull request, which must have passed."""
    own.laptop.git("fetch", "-q", "origin")
    pull = story.propose(own, branch, message, **change)
    checked = story.check(own, pull, settings=OWN)
    if checked.job.exit_code:
        raise StoryError(f"the check of pull request #{pull.number} ended {checked.verdict['outcome']}")
    return own.repository.get_pull(pull.number)


def _task_of(own: Story, checked: Checked) -> str:
    return story.tasks_of(own, checked.commit)[0]


def _require_best(own: Story, checked: Checked, expected: str, *, instead_of: str = "") -> None:
    best = story.tagged_best(own, TAG)
    if best != [expected] or best == [instead_of]:
        raise StoryError(f"the tag '{TAG}' is on {best}, expected {expected}: {checked.verdict['exit_reason']}")
