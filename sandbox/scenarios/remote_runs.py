"""The demo's scenarios in which an agent runs a pull request's own code: how each is played. Their ends are known in
scenarios.py.
"""

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
    """The script reports its first progress after two seconds; that is enough, and it is stopped."""
    pull = story.propose(tale, "probe-ok", "Train for a whole day", trained=False, **LONG)
    return story.check(tale, pull, settings=PROBE)


def probe_broken(tale: Story) -> Checked:
    """It works on the laptop, where someone once installed a package that no requirements file names."""
    files = {
        "train.py": developer.read(tale.laptop, "train.py").replace("import time\n", "import time\n\nimport ray\n")
    }
    pull = story.propose(tale, "probe-broken", "Search parameters with Ray", trained=False, files=files)
    return story.check(tale, pull, settings=PROBE)


def train(tale: Story) -> Checked:
    """Nobody trained this commit; an agent does, and the result is judged."""
    story.ensure_best(tale)
    pull = story.propose(tale, "train", "Many more hidden units", trained=False, hidden_units=64)
    return story.check(tale, pull, settings=TRAINING)


def gpu_tests(tale: Story) -> Checked:
    """Two hidden units read a digit or two better than guessing, and fail one of the two tests."""
    pull = story.propose(tale, "gpu-tests", "The smallest model of all", trained=False, hidden_units=2)
    return story.check(tale, pull, settings=TESTS)


def fork_unapproved(tale: Story) -> Checked:
    """A stranger's code does not run on our agents before someone has looked at it."""
    stranger = story.outsider(tale, OUTSIDER)
    pull = story.propose(stranger, "fork-unapproved", "Let me just try", trained=False, epochs=11)
    return story.check(tale, pull, event_name=ON_FORKS, settings=PROBE)


def fork_approved(tale: Story) -> Checked:
    """A maintainer has looked, and says so with a label."""
    stranger = story.outsider(tale, OUTSIDER)
    pull = story.propose(stranger, "fork-approved", "Train a little longer", trained=False, epochs=12)
    story.label(tale, pull)
    return story.check(tale, pull, action="labeled", event_name=ON_FORKS, settings=PROBE)


def cancelled(tale: Story) -> Checked:
    """Somebody cancels the job while an agent runs the code; nothing goes on without it."""
    pull = story.propose(tale, "cancelled", "Load all data there is", trained=False, **ENDLESS)

    def cancel(running: Running) -> None:
        story.launched(tale, pull.head.sha)
        tale.tell("somebody cancels the job")
        running.terminate()

    checked = story.check(tale, pull, settings=PROBE, on_line=job.once(RUNNING, cancel))
    if left := story.unfinished(tale):
        raise StoryError(f"the job has ended, and these tasks go on: {', '.join(left)}")
    return checked


def superseded(tale: Story) -> Checked:
    """A second commit is pushed while the first is being probed: its check takes the first one's place."""
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
