"""`ci_trigger.py schedule`, as a user runs it, against a ClearML server whose workers are only registered."""

from collections.abc import Iterator

import pytest

from sandbox.runtime import github_access
from sandbox.runtime.clearml_access import Client
from sandbox.runtime.environment import JOB_PERMISSIONS
from sandbox.scenarios import job
from sandbox.scenarios.job import Job
from sandbox.scenarios.story import Story


@pytest.fixture
def queues(client: Client, prefix: str) -> Iterator[dict[str, str | None]]:
    """The inputs that name four queues, each with a worker of its own."""
    names = {role: f"{prefix}-{role}" for role in ("controller", "steps", "code", "services")}
    for name in names.values():
        queue = client.call("queues.create", name=name)["id"]
        client.call("workers.register", worker=f"{name}:worker", queues=[queue])
    yield {f"CLEARML_CI_{role.upper()}_QUEUE": name for role, name in names.items()}
    for name in names.values():
        client.call("workers.unregister", worker=f"{name}:worker")


def schedule(tale: Story, queues: dict[str, str | None], *when: str) -> Job:
    github = tale.sandbox.github
    token = github_access.token(github, "workflow", repository=tale.sandbox.repository, permissions=JOB_PERMISSIONS)
    settings = {**queues, "GITHUB_TOKEN": token, "CLEARML_TASK_NAME": None}
    return job.run(tale.sandbox, event={}, settings=settings, command=("schedule", *when))


def waiting(client: Client, queues: dict[str, str | None]) -> int:
    (queue,) = client.call("queues.get_all", name=f"^{queues['CLEARML_CI_SERVICES_QUEUE']}$")["queues"]
    return len(queue["entries"])


def test_schedule__daily_then_weekly_then_off__leaves_one_task_in_the_services_queue_and_then_none(
    tale: Story, client: Client, queues: dict[str, str | None]
) -> None:
    client.call("projects.create", name=tale.sandbox.project)
    for when in ("daily 22:30", "weekly mon 06:00"):
        done = schedule(tale, queues, *when.split())
        assert (done.exit_code, f"registered: the audit runs {when} UTC" in done.log) == (0, True), done.log
        assert waiting(client, queues) == 1
    assert schedule(tale, queues, "off").exit_code == 0
    assert waiting(client, queues) == 0
