"""Scenarios of merge queues: the commit that a queue has built gets the required status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from github.PullRequest import PullRequest

from sandbox.scenarios import job, reports, story
from sandbox.scenarios.story import Checked, Story, StoryError

TRAINED = """\
version: 1
gates:
  - metric: accuracy/validation
    max_regression: 3%
merge_queue: train
remote_run:
  script: train.py
"""


def carried(tale: Story) -> Checked:
    """Check a better model, and take it into the queue: the files are the same, so its verdict is carried over."""
    story.ensure_best(tale)
    pull = story.propose(tale, "merge-queue", "Thrice the hidden units", hidden_units=48)
    first = story.check(tale, pull)
    return _check(tale, pull, job.merge_group(tale.sandbox, pull), earlier=(first.job,))


def trained(tale: Story) -> Checked:
    """Take two pull requests into the queue: the commit of the second has the files of none, and is trained."""
    story.ensure_best(tale)
    base = reports.policy_branch(tale, "queue-trains", TRAINED)
    notes = story.propose(tale, "merge-queue-notes", "Notes", trained=False, files={"notes.py": "# none\n"}, base=base)
    pull = story.propose(tale, "merge-queue-trained", "More units", trained=False, hidden_units=56, base=base)
    ahead = job.merge_group(tale.sandbox, notes)["merge_group"]["head_sha"]
    checked = _check(tale, pull, job.merge_group(tale.sandbox, pull, after=ahead))
    if checked.verdict["merge_group"] != [pull.number, notes.number]:
        raise StoryError(f"the verdict names the pull requests {checked.verdict['merge_group']}")
    return checked


def _check(tale: Story, pull: PullRequest, event: Mapping[str, Any], *, earlier: tuple[job.Job, ...] = ()) -> Checked:
    """Run the job that GitHub starts for a merge group; nothing is commented on its pull requests."""
    head = event["merge_group"]["head_sha"]
    tale.progress(f"pull request #{pull.number} is queued: ci_trigger.py checks {head[:8]}")
    done = job.run(
        tale.sandbox,
        event=event,
        event_name="merge_group",
        command=(),
        on_line=lambda line, _: tale.progress(f"  | {line}"),
    )
    verdict = json.loads(done.outputs["verdict_json"])
    return Checked(
        pull=pull,
        commit=head,
        event="merge_group",
        job=done,
        verdict=verdict,
        comments=(),
        status=story.status(tale, pull, head),
        earlier=earlier,
    )
