"""Queues of a ClearML server and their workers, and the refusals of a run that would deadlock."""

import time

import pytest

from clearml_ci.clearml_api import paging, worker_queues
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from sandbox.runtime.clearml_access import Client


def test_served__unknown_and_unwatched__are_different_errors(clearml: ClearML, client: Client, prefix: str) -> None:
    client.call("queues.create", name=f"{prefix}-idle")
    with pytest.raises(
        UsageError,
        match=f"no queue '{prefix}-gpuu': correct the name, or start agents for it with `ci_trigger.py agents`$",
    ) as unknown:
        worker_queues.served(clearml, [f"{prefix}-gpuu"])
    with pytest.raises(ClearMLError, match=f"no worker listens to the queue '{prefix}-idle'") as unwatched:
        worker_queues.served(clearml, [f"{prefix}-idle"])
    for raised in (unknown.value, unwatched.value):  # the other queues may be other teams'
        assert raised.log_only.startswith("; queues with workers: ")
        assert "queues with workers" not in str(raised)
    names = [queue["name"] for queue in client.call("queues.get_all", only_fields=["name"])["queues"]]
    assert f"{prefix}-gpuu" not in names  # ClearML creates a queue that a request only names


def named(name: str, *workers: str) -> Queue:
    return Queue(name, name, frozenset(workers))


@pytest.mark.parametrize(
    ("queues", "message"),
    [
        ([named("c", "a"), named("s", "a")], "one worker alone serves the queues 'c' and 's'"),
        ([named("c", "a"), named("s", "b"), named("g", "b")], "one worker alone serves the queues 's' and 'g'"),
        (
            [named("c", "a", "b"), named("s", "a", "b"), named("g", "b")],
            "only 2 workers serve the queues 'c' and 's' and 'g'",
        ),
    ],
    ids=["two-on-one", "steps-and-code", "three-on-two"],
)
def test_refuse_deadlock__fewer_workers_than_queues__is_refused(queues: list[Queue], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        worker_queues.refuse_deadlock(queues)
    assert message in str(raised.value)


def test_refuse_deadlock__advises_an_agent_with_a_name_that_is_not_taken() -> None:
    with pytest.raises(UsageError) as raised:
        worker_queues.refuse_deadlock([named("c", "vm:s"), named("s", "vm:s")])
    command = "CLEARML_WORKER_ID=$(hostname):s-2 TMPDIR=$(mktemp -d) clearml-agent daemon --detached --queue s"
    assert str(raised.value).endswith(command)


def test_refuse_deadlock__a_worker_for_each__is_accepted() -> None:
    worker_queues.refuse_deadlock([named("c", "a", "b"), named("s", "a"), named("g", "c", "a")])


def test_refuse_shared_workers__one_agent_for_code_and_others__is_refused() -> None:
    code = named("g", "b", "d")
    with pytest.raises(UsageError, match="the agent b serves 's' and 'g'"):
        worker_queues.refuse_shared_workers([named("s", "a", "b"), named("c", "c")], code=code)
    with pytest.raises(UsageError, match="the agent d serves 'c' and 'g'"):
        worker_queues.refuse_shared_workers([named("s", "a"), named("c", "c", "d")], code=code)
    worker_queues.refuse_shared_workers([named("s", "a"), named("c", "c")], code=code)


def test_name_of__queue_of_a_run__is_that_which_it_was_enqueued_on(
    clearml: ClearML, client: Client, prefix: str
) -> None:
    queue = client.call("queues.create", name=prefix)["id"]
    task = client.call("tasks.create", name="a run", type="controller")["id"]
    assert worker_queues.name_of(clearml, task) == ""
    client.call("tasks.enqueue", task=task, queue=queue)
    assert worker_queues.name_of(clearml, task) == prefix
    client.call("tasks.dequeue", task=task)


def test_backlog__server_whose_clock_is_ahead__waits_by_the_servers_clock(
    client: Client,
    prefix: str,
    user_environment: dict[str, str],  # noqa: ARG001  the session reads it
) -> None:
    queue = client.call("queues.create", name=prefix)["id"]
    task = client.call("tasks.create", name="waits", type="testing")["id"]
    client.call("tasks.enqueue", task=task, queue=queue)
    ahead = Clock(now=lambda: time.time() + 4000)  # the agent's, by 67 minutes
    (found,) = worker_queues.backlog(clearml_session.connect(ahead), [prefix])
    assert found.waits < 60
    client.call("queues.remove_task", task=task, queue=queue)


def test_backlog__queues_beyond_the_first_page__are_found(clearml: ClearML, client: Client, prefix: str) -> None:
    names = [f"{prefix} {number}" for number in range(paging.MOST + 1)]
    queues = [client.call("queues.create", name=name)["id"] for name in names]
    assert all(queue.exists for queue in worker_queues.backlog(clearml, names))
    for queue in queues:
        client.call("queues.delete", queue=queue)
