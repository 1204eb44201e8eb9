"""Policies, odd numbers, and who reports: the demo's scenarios in their particulars, and what else a policy changes."""

import pytest

from sandbox import demo, scenarios, story
from sandbox.story import Story
from tests.end_to_end.conftest import Play


@pytest.mark.parametrize("name", list(scenarios.REPORTS))
def test_scenario__about_the_report__ends_as_the_demo_says(played: Play, tale: Story, name: str) -> None:
    assert demo.differences(scenarios.EVERY[name], played(name)) == []
    assert story.unfinished(tale) == []
