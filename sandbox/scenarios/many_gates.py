"""The scenarios of gates that stand for many, and of gates that are read at one iteration."""

from __future__ import annotations

from typing import Any

from sandbox.scenarios import developer, story
from sandbox.scenarios.reports import POLICY_FILE
from sandbox.scenarios.story import Checked, Story

DIGITS = 10  # each has an accuracy of its own
EACH_DIGIT = """\
version: 1
gates:
  - metric: accuracy/validation
    max_regression: 5%
  - metric: per class/*
    max_regression: 5%
baselines:
  tag: Best by digit
"""
ONE_CHECKPOINT = """\
version: 1
gates:
  - metric: accuracy/validation
    max_regression: 3%
  - metric: loss/train
    goal: minimize
    max_regression: 60%
at: best of accuracy/validation
baselines:
  tag: Best at a checkpoint
"""


def slices(tale: Story) -> Checked:
    """Check a smaller model: its accuracy holds, and it reads some of the digits far worse."""
    branch = base(tale, "each-digit", EACH_DIGIT, tag="Best by digit", logged_classes=DIGITS)
    pull = story.propose(tale, "slices", "Half the units will do", base=branch, hidden_units=8, seed=0)
    return story.check(tale, pull)


def same_checkpoint(tale: Story) -> Checked:
    """Check a model whose accuracy is best long before its loss is: where the accuracy is best, the loss is not."""
    same: dict[str, Any] = {"hidden_units": 32, "seed": 0}
    tag = "Best at a checkpoint"
    branch = base(tale, "one-checkpoint", ONE_CHECKPOINT, tag=tag, learning_rate=0.03, **same)
    pull = story.propose(tale, "same-checkpoint", "Larger steps", base=branch, learning_rate=0.1, **same)
    return story.check(tale, pull)


def base(tale: Story, name: str, policy: str, *, tag: str, **training: Any) -> str:
    """Push a branch of main with this policy and a baseline, to open pull requests against; return its name."""
    developer.branch(tale.laptop, name)
    commit = story.push(tale, f"Add the policy {name}", files={POLICY_FILE: policy}, **training)
    best = story.tasks_of(tale, commit)[:1]
    tale.clearml.call("tasks.update_tags", ids=best, add_tags=[tag])
    tale.progress(f'tagged its task "{tag}", by hand')
    return name
