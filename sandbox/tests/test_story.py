"""The acts of a scenario, against the local GitHub and a ClearML server, without agents."""

import pytest
from github import GithubException
from github.PullRequest import PullRequest

from sandbox.runtime.clearml_access import Client
from sandbox.scenarios import job, story
from sandbox.scenarios.story import Story


def proposed(tale: Story) -> tuple[Story, PullRequest]:
    """Return the story of a fork contributor, and the pull request from their fork."""
    outsider = story.outsider(tale, "mallory")
    return outsider, story.propose(outsider, "mine", "Try mine", trained=False, files={"new.py": "1\n"}, epochs=3)


def test_propose__from_a_fork__event_names_the_fork_and_its_address_has_the_commit(tale: Story) -> None:
    outsider, pull = proposed(tale)
    event = job.pull_request_event(tale.sandbox, pull, action="opened")
    head = event["pull_request"]["head"]
    assert (head["repo"]["full_name"], event["pull_request"]["user"]["login"]) == ("mallory/digits", "mallory")
    assert (event["repository"]["full_name"], event["sender"]["login"]) == (tale.sandbox.repository, "mallory")
    refs = outsider.laptop.git("ls-remote", head["repo"]["clone_url"], "mine")
    assert refs.split()[0] == head["sha"]
    assert {file.filename for file in pull.get_files()} == {"new.py", "config.json"}


def test_label__by_a_maintainer__is_what_the_event_tells(tale: Story) -> None:
    outsider, pull = proposed(tale)
    with pytest.raises(GithubException):
        story.label(outsider, pull)
    for _ in range(2):  # after a new commit it is put on again
        story.label(tale, pull)
        event = job.pull_request_event(tale.sandbox, pull, action="labeled")
        assert (event["action"], event["label"]["name"]) == ("labeled", story.APPROVAL_LABEL)
        assert event["sender"]["login"] == tale.repository.owner.login
    assert [event.event for event in pull.as_issue().get_events()] == ["labeled", "unlabeled", "labeled"]


def test_say__a_command__is_by_who_said_it_and_none_of_the_comments_of_ci(tale: Story) -> None:
    outsider, pull = proposed(tale)
    for person in (outsider, tale):
        story.comment(person, pull, f"/run-remote {pull.head.sha}")
    assert [comment.user.login for comment in pull.get_issue_comments()] == ["mallory", tale.repository.owner.login]
    assert story.comments(pull) == ()
    tale.repository.get_issue(pull.number).create_comment("passed")
    assert story.comments(pull) == ("passed",)


def test_fork__deleted__event_has_no_head_repository(tale: Story) -> None:
    outsider, pull = proposed(tale)
    outsider.laptop.origin.delete()
    head = job.pull_request_event(tale.sandbox, pull, action="reopened")["pull_request"]["head"]
    assert (head["repo"], head["sha"]) == (None, pull.head.sha)


def test_push__again__event_of_the_fork_has_the_new_commit(tale: Story) -> None:
    outsider, pull = proposed(tale)
    commit = story.push(outsider, "Another try", trained=False, epochs=4)
    event = job.pull_request_event(tale.sandbox, pull, action="synchronize")
    assert (event["before"], event["after"]) == (pull.head.sha, commit)


def test_unfinished__of_all_tasks__are_those_of_this_sandbox_that_wait_or_run(tale: Story, client: Client) -> None:
    def task(project: str, *ends: str) -> str:
        where = client.call("projects.create", name=project)["id"]
        made = str(client.call("tasks.create", name="any task", type="testing", project=where)["id"])
        for end in ends:
            client.call(end, task=made)
        return made

    mine = task(f"{tale.sandbox.prefix}/runs", "tasks.started")
    task(f"{tale.sandbox.prefix}/ended", "tasks.started", "tasks.completed")
    other = task(tale.sandbox.prefix[:-1] + "-of-others", "tasks.started")
    assert story.unfinished(tale) == [mine]
    client.call("tasks.stopped", task=other)


def test_launched__task_of_the_commit__is_found_once_its_script_is_initialized(tale: Story, client: Client) -> None:
    where = client.call("projects.create", name=f"{tale.sandbox.prefix}/.pipelines/runs")["id"]
    script = {"repository": "file:///digits.git", "version_num": "a" * 40}
    body = {"name": "probe", "type": "testing", "project": where, "script": script}
    taken, made, _ = (client.call("tasks.create", **body)["id"] for _ in range(3))
    for task in (taken, made):
        client.call("tasks.started", task=task)
    client.call("tasks.edit", task=made, runtime={story.INITIALIZED: "train.py"}, force=True)
    assert story.launched(tale, "a" * 40) == made
    for task in (taken, made):
        story.abort(tale, task, include_steps=True)
    assert story.unfinished(tale) == []


def test_once__line_shown_again__acts_the_first_time_alone() -> None:
    acted: list[str] = []
    on_line = job.once("step: in_progress", lambda running: acted.append(running.log))
    running = job.Running(process=None)  # type: ignore[arg-type]  # not used here
    for line in ("step: queued", "step: in_progress", "step: in_progress"):
        running.lines.append((0.0, line))
        on_line(line, running)
    assert acted == ["step: queued\nstep: in_progress"]


def test_running__run_that_the_log_names__is_known_from_that_line_on() -> None:
    running = job.Running(process=None)  # type: ignore[arg-type]  # not used here
    with pytest.raises(LookupError):
        running.pipeline_id  # noqa: B018
    running.lines.append((0.0, f"ClearML run: http://127.0.0.1/pipelines/1/experiments/{'b' * 32} (enqueued)"))
    assert running.pipeline_id == "b" * 32
