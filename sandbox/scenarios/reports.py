"""The scenarios of policies, unusual numbers, and the credentials of a report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from sandbox.runtime import github_access
from sandbox.scenarios import developer, story
from sandbox.scenarios.story import Checked, Story, StoryError

READING = {"contents": "read", "pull_requests": "read"}
POLICY_FILE = ".github/clearml-ci.yml"
APP = "digits-model-check"
SERIES = 2_000  # as many as ClearML keeps of one task
OTHER_SERIES = 4  # those that every training reports
# Parameters of a model that is better than main's, and of one that is a little worse.
BETTER: dict[str, Any] = {"hidden_units": 64}
A_LITTLE_WORSE: dict[str, Any] = {"hidden_units": 32, "learning_rate": 0.003}
TWO_METRICS = """\
version: 1
gates:
  - metric: accuracy/validation
    max_regression: 3%
  - metric: loss/train
    goal: minimize
    max_regression: 0
    required: false
"""
SAME_DATA = """\
version: 1
gates:
  - metric: accuracy/validation
    max_regression: 3%
alike:
  hyperparameters: [Args/dataset_share]
"""
NO_IMAGE_SKIPPED = """\
version: 1
gates:
  - metric: data/skipped images
    goal: minimize
    max_regression: 10%
    allow_zero: true
"""


def policy_branch(tale: Story, name: str, text: str) -> str:
    """Push a branch of main with this policy, to open pull requests against; return its name."""
    developer.branch(tale.laptop, name)
    story.push(tale, f"Add the policy {name}", trained=False, files={POLICY_FILE: text})
    return name


def multi_metric(tale: Story) -> Checked:
    """Check two metrics: the accuracy holds, and the worse loss is advisory."""
    story.ensure_best(tale)
    base = policy_branch(tale, "two-metrics", TWO_METRICS)
    return story.check(tale, story.propose(tale, "multi-metric", "Smaller steps", base=base, **A_LITTLE_WORSE))


def not_alike(tale: Story) -> Checked:
    """Check a model that was trained on a quarter of the data: its accuracy is not comparable."""
    story.ensure_best(tale)
    base = policy_branch(tale, "same-data", SAME_DATA)
    pull = story.propose(tale, "not-alike", "Train on less data", base=base, dataset_share=0.25)
    return story.check(tale, pull)


def zero_baseline(tale: Story) -> Checked:
    """Check a metric whose baseline is 0, as its policy allows: a relative tolerance of 0 is 0."""
    story.ensure_best(tale)
    base = policy_branch(tale, "no-image-skipped", NO_IMAGE_SKIPPED)
    return story.check(tale, story.propose(tale, "zero-baseline", "Train longer", base=base, epochs=12))


def huge(tale: Story) -> Checked:
    """Check a task that logs every weight."""
    story.ensure_best(tale)
    weights = SERIES - OTHER_SERIES
    return story.check(tale, story.propose(tale, "huge", "Log the weights", logged_weights=weights, **BETTER))


def no_token(tale: Story) -> Checked:
    """Check with a steps' agent without GitHub credentials: the job reports, with its workflow's token."""
    story.ensure_best(tale)
    pull = story.propose(tale, "no-token", "Twice the hidden units", hidden_units=48)
    with story.another_agent(tale, "ci-silent", builds_environments=False) as queue:
        checked = story.check(tale, pull, settings={"CLEARML_CI_STEPS_QUEUE": queue})
    return _by(checked, "github-actions[bot]")


def app_token(tale: Story) -> Checked:
    """Check with a steps' agent that is a GitHub App; the job's token may only read."""
    story.ensure_best(tale)
    pull = story.propose(tale, "app-token", "Even more hidden units", hidden_units=56)
    hub = tale.sandbox.github
    reading = github_access.token(hub, "workflow", repository=tale.sandbox.repository, permissions=READING)
    with _agent_of_app(tale) as queue:
        checked = story.check(tale, pull, settings={"CLEARML_CI_STEPS_QUEUE": queue, "GITHUB_TOKEN": reading})
    return _by(checked, f"{APP}[bot]")


def detached(tale: Story) -> Checked:
    """Check without waiting: the job succeeds immediately; the status that the agent sets later blocks the merge."""
    story.ensure_best(tale)
    pull = story.propose(tale, "detached", "A tiny model", hidden_units=4)
    return story.check(tale, pull, settings={"CLEARML_CI_WAIT": "false"})


@contextmanager
def _agent_of_app(tale: Story) -> Iterator[str]:
    """Run a steps' agent with the key of a GitHub App that may comment and set statuses; yield its queue."""
    hub = tale.sandbox.github
    permissions = {**READING, "pull_requests": "write", "statuses": "write"}
    answer = requests.post(
        f"{hub.url}/_sandbox/apps",
        json={"slug": APP, "repository": tale.sandbox.repository, "permissions": permissions},
        headers={"Authorization": f"token {hub.owner_token}"},
        timeout=10,
    )
    answer.raise_for_status()
    made = answer.json()
    environment = {
        "CLEARML_CI_APP_ID": str(made["app_id"]),
        "CLEARML_CI_APP_PRIVATE_KEY": made["private_key"].replace("\n", "\\n"),
        "GITHUB_API_URL": hub.api_url,
    }
    with story.another_agent(tale, "ci-app", builds_environments=False, environment=environment) as queue:
        yield queue


def _by(checked: Checked, login: str) -> Checked:
    authors = [comment.user.login for comment in checked.pull.get_issue_comments()]
    if authors != [login]:
        raise StoryError(f"comments are by {', '.join(authors) or 'no account'}, expected one by {login}")
    return checked
