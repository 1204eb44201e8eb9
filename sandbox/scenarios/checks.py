"""The scenarios of the short story: one pull request each, trained on a laptop or not, and checked."""

from __future__ import annotations

from sandbox.scenarios import developer, story
from sandbox.scenarios.story import Checked, Story, StoryError


def first_model(tale: Story) -> Checked:
    """Check a commit in a project whose tasks include no best: there is nothing to compare with."""
    return story.check(tale, story.propose(tale, "first-model", "Train a first model", hidden_units=8))


def better(tale: Story) -> Checked:
    """Check a model that is better than the best."""
    story.ensure_best(tale)
    return story.check(tale, story.propose(tale, "better", "Four times the hidden units", hidden_units=64))


def within_tolerance(tale: Story) -> Checked:
    """Check a model that is less accurate than the best by less than the tolerance; the tag stays on the best."""
    best = story.ensure_best(tale)
    pull = story.propose(tale, "within-tolerance", "Smaller steps", hidden_units=32, learning_rate=0.003)
    checked = story.check(tale, pull)
    if story.tagged_best(tale) != [best]:
        raise StoryError(f"the best was {best}, and now is {story.tagged_best(tale)}: a check must not move it")
    return checked


def worse(tale: Story) -> Checked:
    """Check a model that is worse than the best by more than the tolerance."""
    story.ensure_best(tale)
    pull = story.propose(tale, "worse", "A much smaller model", hidden_units=8, learning_rate=0.003)
    return story.check(tale, pull)


def untested(tale: Story) -> Checked:
    """Check a commit that was never trained."""
    story.ensure_best(tale)
    return story.check(tale, story.propose(tale, "untested", "Trust me, it works", trained=False, epochs=12))


def dirty(tale: Story) -> Checked:
    """Check a commit that was trained with an uncommitted change."""
    story.ensure_best(tale)
    pull = story.propose(tale, "dirty", "Longer training", trained=False, epochs=12)
    developer.edit(tale.laptop, hidden_units=64)
    story.train(tale)
    tale.laptop.git("checkout", "-q", "--", ".")
    return story.check(tale, pull)


def pushed_again(tale: Story) -> Checked:
    """Check a worse model, then a commit that repairs it: one comment, which reports the second."""
    story.ensure_best(tale)
    pull = story.propose(tale, "pushed-again", "Too small a model", hidden_units=4)
    story.check(tale, pull)
    story.push(tale, "The old size, with smaller steps", hidden_units=32, learning_rate=0.003)
    return story.check(tale, pull, action="synchronize")
