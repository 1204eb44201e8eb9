"""The scenario of a pull request that changes the policy: its comment has what that would have made of the past."""

from __future__ import annotations

from dataclasses import replace

from sandbox.scenarios import many_gates, story
from sandbox.scenarios.reports import A_LITTLE_WORSE, POLICY_FILE
from sandbox.scenarios.story import Checked, Story

TAG = "Best by policy"
LENIENT = f"""\
version: 1
gates:
  - metric: accuracy/validation
    max_regression: 3%
baselines:
  tag: {TAG}
"""
STRICT = LENIENT.replace("3%", "0%")


def change(tale: Story) -> Checked:
    """Check a model that is a little worse, and then a change that allows no loss: the first would have been red."""
    base = many_gates.base(tale, "lenient", LENIENT, tag=TAG)
    worse = story.propose(tale, "before-policy-change", "Smaller steps", base=base, **A_LITTLE_WORSE)
    first = story.check(tale, worse)
    pull = story.propose(tale, "policy-change", "Allow no loss", base=base, files={POLICY_FILE: STRICT})
    return replace(story.check(tale, pull), earlier=(first.job,))
