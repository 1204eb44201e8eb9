"""Scenarios of accepted losses: a maintainer takes the loss of one commit with a comment."""

from __future__ import annotations

import re
from dataclasses import replace

from sandbox.runtime import github_access
from sandbox.scenarios import job, story
from sandbox.scenarios.story import Checked, Story, StoryError

MAINTAINER = "maya"
REASON = "the new digits are harder"


def accepted(tale: Story) -> Checked:
    """Check a worse model, paste the line that the comment shows, and let the comment's event check it anew."""
    story.ensure_best(tale)
    pull = story.propose(tale, "accepted", "A twentieth of the images", dataset_share=0.05)
    return accept(tale, story.check(tale, pull))


def ended(tale: Story) -> Checked:
    """Push to the pull request after its loss was accepted: the next commit is judged as any other."""
    story.ensure_best(tale)
    pull = story.propose(tale, "accepted-ended", "Few images are enough", dataset_share=0.05)
    first = accept(tale, story.check(tale, pull))
    story.push(tale, "Even fewer images", dataset_share=0.03)
    second = story.check(tale, pull, action="synchronize")
    return replace(second, earlier=(*first.earlier, first.job))


def accept(tale: Story, checked: Checked) -> Checked:
    """Comment as a maintainer with the line of the failed check, and run the job that GitHub starts then."""
    found = re.search(r"^/accept-regression [0-9a-f]{40}", checked.comments[0], re.MULTILINE)
    if found is None:
        raise StoryError("the comment shows no line that accepts the loss")
    tale.repository.add_to_collaborators(MAINTAINER, "maintain")
    hub = tale.sandbox.github
    maintainer = github_access.connect(hub.api_url, github_access.token(hub, "pat", login=MAINTAINER))
    tale.progress(f"a maintainer comments {found[0][:30]}…")
    issue = maintainer.get_repo(tale.sandbox.repository).get_issue(checked.pull.number)
    written = issue.create_comment(f"{found[0]} {REASON}")
    event = job.comment_event(tale.sandbox, checked.pull, written.id)
    done = job.run(tale.sandbox, event=event, event_name="issue_comment", command=(), on_line=_shown(tale))
    read = story.read_back(tale, checked.pull, done, event="issue_comment")
    return replace(read, earlier=(checked.job,))


def _shown(tale: Story) -> job.OnLine:
    return lambda line, _: tale.progress(f"  | {line}")
