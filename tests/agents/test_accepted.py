"""Accepted losses and merge queues, with agents: the scenarios of the demo, and what they leave."""

import pytest

from sandbox import demo
from sandbox.scenarios import catalogue
from sandbox.scenarios.story import Story
from tests.agents.conftest import Play


@pytest.mark.parametrize("name", ["accepted", "merge-queue"])
def test_scenario__played__ends_as_it_is_known_to(played: Play, name: str) -> None:
    assert demo.differences(catalogue.EVERY[name], played(name)) == []


def test_accepted__comment__names_who_and_links_to_what_they_wrote(played: Play) -> None:
    checked = played("accepted")
    ((written),) = [comment for comment in checked.pull.get_issue_comments() if comment.user.login == "maya"]
    (accepted,) = checked.verdict["accepted"]
    assert (accepted["by"], accepted["comment"], accepted["reason"]) == (
        *("maya", written.html_url),
        "the new digits are harder",
    )
    assert f"Accepted by [maya]({written.html_url})." in checked.comments[0]


def test_accepted__run__is_tagged_and_has_it_among_its_properties(played: Play, tale: Story) -> None:
    run = tale.clearml.call("tasks.get_by_id", task=played("accepted").job.outputs["pipeline_id"])["task"]
    assert "accepted a loss" in run["tags"]
    properties = run["hyperparams"]["properties"]
    assert properties["accepted"]["value"] == (
        "the loss of accuracy/validation was accepted by maya: the new digits are harder"
    )


def test_merge_queue__status_of_its_commit__names_the_pull_request_and_links_to_its_check(played: Play) -> None:
    checked = played("merge-queue")
    (status,) = checked.pull.base.repo.get_commit(checked.commit).get_combined_status().statuses
    assert status.description.startswith(f"improved for #{checked.pull.number}: carried over from #")
    assert status.target_url == checked.verdict["pipeline"]["url"]
