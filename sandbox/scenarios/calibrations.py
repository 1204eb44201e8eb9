"""The scenario of a calibration, which has a model of its own: no other one knows its noise."""

from __future__ import annotations

from dataclasses import replace

from sandbox.scenarios import job, remote_runs, story
from sandbox.scenarios.job import Job
from sandbox.scenarios.story import Checked, Story, StoryError

TAG = "Best of calibrated"
MODEL: dict[str, str | None] = {
    "CLEARML_TASK_NAME": "calibrated digits",
    "CLEARML_CI_RUN_NAME": "calibrated digits",
    "CLEARML_CI_RUN_SCRIPT": "train.py",
    "CLEARML_BEST_TAGNAME": TAG,
    "CLEARML_CI_SEED": "Args/seed",
}


def calibrate(tale: Story) -> Checked:
    """Train main with five seeds, and check a commit that changes nothing but its seed: the noise decides."""
    done = run(tale)
    (first, *_) = story.tasks_of(tale, tale.repository.get_branch("main").commit.sha)
    tale.clearml.call("tasks.update_tags", ids=[first], add_tags=[TAG])
    tale.progress(f'tagged one of the trainings "{TAG}", by hand')
    tale.laptop.git("fetch", "-q", "origin")
    pull = story.propose(tale, "calibrate", "Another seed", trained=False, seed=77)
    checked = story.check(tale, pull, settings={**MODEL, **remote_runs.TRAINING})
    return replace(checked, earlier=(done,))


def run(tale: Story) -> Job:
    """Run `ci_trigger.py calibrate 5`, to its end."""
    tale.progress("ci_trigger.py calibrate 5")
    done = job.run(
        tale.sandbox,
        event={},
        event_name="workflow_dispatch",
        settings=MODEL,
        command=("calibrate", "5"),
        on_line=lambda line, _: tale.progress(f"  | {line}"),
    )
    if done.exit_code:
        raise StoryError(f"the calibration ended with exit code {done.exit_code}")
    return done
