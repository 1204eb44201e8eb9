"""The scenarios in which an agent runs a pull request's own code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sandbox.scenarios import developer, job, story
from sandbox.scenarios.job import Running
from sandbox.scenarios.story import Checked, Story, StoryError

# A probe needs no local run and compares nothing; the tests neither.
ALONE: dict[str, str | None] = {"CLEARML_CI_CANDIDATE": "none", **dict.fromkeys(job.METRIC)}
PROBE = {**ALONE, "CLEARML_CI_REMOTE_RUN": "first-iteration", "EXECUTION_ENTRYPOINT": "train.py"}
TESTS = {**ALONE, "CLEARML_CI_REMOTE_RUN": "completion", "CLEARML_CI_RUN_MODULE": "pytest -m gpu"}
TRAINING = {
    "CLEARML_CI_REMOTE_RUN": "completion",
    "CLEARML_CI_CANDIDATE": "train",
    "EXECUTION_ENTRYPOINT": "train.py",
}
RUNNING = "remote_run: in_progress"
LONG: dict[str, Any] = {"epochs": 100_000, "epoch_seconds": 1.0, "delay_seconds": 2.0}
ENDLESS: dict[str, Any] = {"delay_seconds": 3600.0}
OUTSIDER = "mallory"
# With this event a workflow of the base branch checks forks too, secrets and all, and never checks out their code.
ON_FORKS = "pull_request_target"


def probe_ok(tale: Story) -> Checked:
    """Probe a script that reports its first progress after two seconds, and is then stopped."""
    pull = story.propose(tale, "probe-ok", "Train for a whole day", trained=False, **LONG)
    return story.check(tale, pull, settings=PROBE)


def probe_broken(tale: Story) -> Checked:
    """Probe a script that imports a package which only the laptop has: no requirements file names it."""
    files = {
        "train.py": developer.read(tale.laptop, "train.py").replace("import time\n", "import time\n\nimport ray\n")
    }
    pull = story.propose(tale, "probe-broken", "Search parameters with Ray", trained=False, files=files)
    return story.check(tale, pull, settings=PROBE)


def train(tale: Story) -> Checked:
    """Train a commit on an agent, and judge the result."""
    story.ensure_best(tale)
    pull = story.propose(tale, "train", "Many more hidden units", trained=False, hidden_units=64)
    return story.check(tale, pull, settings=TRAINING)


def gpu_tests(tale: Story) -> Checked:
    """Run the GPU tests for a model that is barely better than guessing, and fails one of the two."""
    pull = story.propose(tale, "gpu-tests", "The smallest model of all", trained=False, hidden_units=2)
    return story.check(tale, pull, settings=TESTS)


def fork_unapproved(tale: Story) -> Checked:
    """Check a fork's pull request without an approval: its code does not run on the agents."""
    contributor = story.outsider(tale, OUTSIDER)
    pull = story.propose(contributor, "fork-unapproved", "Let me just try", trained=False, epochs=11)
    return story.check(tale, pull, event_name=ON_FORKS, settings=PROBE)


def fork_approved(tale: Story) -> Checked:
    """Check a fork's pull request that a maintainer approved with a label."""
    contributor = story.outsider(tale, OUTSIDER)
    pull = story.propose(contributor, "fork-approved", "Train a little longer", trained=False, epochs=12)
    story.label(tale, pull)
    return story.check(tale, pull, action="labeled", event_name=ON_FORKS, settings=PROBE)


def cancelled(tale: Story) -> Checked:
    """Cancel the job while an agent runs the code; no task goes on."""
    pull = story.propose(tale, "cancelled", "Load all data there is", trained=False, **ENDLESS)

    def cancel(running: Running) -> None:
        story.launched(tale, pull.head.sha)
        tale.progress("a user cancels the job")
        running.terminate()

    checked = story.check(tale, pull, settings=PROBE, on_line=job.once(RUNNING, cancel))
    if left := story.unfinished(tale):
        raise StoryError(f"the job has ended, and these tasks go on: {', '.join(left)}")
    return checked


def superseded(tale: Story) -> Checked:
    """Push a second commit while the first is probed: its check supersedes that of the first."""
    pull = story.propose(tale, "superseded", "Load all data again", trained=False, **ENDLESS)
    second: list[Checked] = []

    def push_again(_: Running) -> None:
        story.launched(tale, pull.head.sha)
        story.push(tale, "Load only what is needed", trained=False, delay_seconds=0.0)
        second.append(story.check(tale, pull, action="synchronize", settings=PROBE))

    first = story.check(tale, pull, settings=PROBE, on_line=job.once(RUNNING, push_again))
    if not second or first.job.exit_code != 4:
        raise StoryError(f"the first check went on to its own end ({first.verdict['outcome']})")
    return replace(second[0], comments=story.comments(pull), earlier=(first.job,))
