"""Schedules of audits on a ClearML server, and ClearML's own scheduler with them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from clearml.automation.scheduler import ScheduleJob

from clearml_ci.clearml_api import audit_scheduler, audit_schedules, pipeline_runs
from clearml_ci.clearml_api.audit_schedules import AuditSchedule
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import schedule
from clearml_ci.core.git_source import Source
from sandbox.runtime.clearml_access import Client

WEDNESDAY = datetime(2026, 7, 1, 10, 0, tzinfo=timezone.utc)
SOURCE = Source("https://github.com/octo-owner/clearml-ci.git", "f" * 40)


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("daily 22:30", (1, 22, 30), (2, 22, 30)),
        ("daily 06:00", (2, 6, 0), (3, 6, 0)),
        ("daily 00:00", (2, 0, 0), (3, 0, 0)),
        ("weekly wed 22:30", (1, 22, 30), (8, 22, 30)),
        ("weekly wed 06:00", (8, 6, 0), (15, 6, 0)),
        ("weekly mon 00:00", (6, 0, 0), (13, 0, 0)),
    ],
)
def test_for_scheduler__clearmls_own_job__runs_once_each_day_or_week(
    text: str, first: tuple[int, int, int], second: tuple[int, int, int]
) -> None:
    times = schedule.for_scheduler(schedule.parse(text))
    job = ScheduleJob(name="audit", base_function=print, starting_time=WEDNESDAY, **times)
    job.verify()
    once = job.next()
    job._schedule_counter, job._last_executed = 1, once
    assert (once, job.next()) == (july(*first), july(*second))


def july(day: int, hour: int, minute: int) -> datetime:
    return datetime(2026, 7, day, hour, minute, tzinfo=timezone.utc)


@pytest.fixture
def audits(prefix: str) -> AuditSchedule:
    when = schedule.parse("daily 22:30")
    return AuditSchedule(
        f"{prefix} CI/octo-owner/digits", when, f"{prefix} controllers", SOURCE, {"projects": "Digits"}
    )


@pytest.fixture
def queue(client: Client, prefix: str) -> Queue:
    name = f"{prefix} services"
    return Queue(client.call("queues.create", name=name)["id"], name, frozenset({"worker"}))


def live_tasks(client: Client, audits: AuditSchedule) -> list[dict[str, Any]]:
    (project,) = client.call("projects.get_all", name=f"^{audits.project}$")["projects"]
    return list(client.call("tasks.get_all", project=[project["id"]], status=["queued", "in_progress"])["tasks"])


def test_register__twice__is_one_schedule(
    clearml: ClearML, client: Client, audits: AuditSchedule, queue: Queue
) -> None:
    first = audit_schedules.register(clearml, audits, queue=queue)
    repeated = audit_schedules.register(clearml, audits, queue=queue)
    assert (first.new, repeated.new, repeated.id, repeated.ended) == (True, False, first.id, ())
    (task,) = live_tasks(client, audits)
    assert (task["id"], task["status"], task["type"]) == (first.id, "queued", "service")
    assert task["script"]["entry_point"].endswith("audit_schedule.py")


@pytest.mark.parametrize("name", ["audit schedule", f"audit schedule {'0' * 32}"])
def test_register__draft_of_an_interrupted_registration__is_deleted(
    clearml: ClearML, client: Client, audits: AuditSchedule, queue: Queue, name: str
) -> None:
    project = client.call("projects.create", name=audits.project)["id"]
    draft = client.call("tasks.create", name=name, project=project, type="service")["id"]
    other = client.call("tasks.create", name="nightly report", project=project, type="service")["id"]
    made = audit_schedules.register(clearml, audits, queue=queue)
    left = client.call("tasks.get_all", project=[project], only_fields=["id"], search_hidden=True)["tasks"]
    assert {task["id"] for task in left} == {other, made.id} and draft != made.id


def test_register__another_time__replaces_the_first(
    clearml: ClearML, client: Client, audits: AuditSchedule, queue: Queue
) -> None:
    first = audit_schedules.register(clearml, audits, queue=queue)
    other = replace(audits, when=schedule.parse("weekly mon 06:00"))
    second = audit_schedules.register(clearml, other, queue=queue)
    assert (second.new, second.ended) == (True, (first.id,))
    assert [task["id"] for task in live_tasks(client, audits)] == [second.id]


class Meanwhile(ClearML):
    """A session in which something happens before the parameters of the first draft are set."""

    happens: Callable[[], object] | None = None

    def call(self, endpoint: str, **request: Any) -> dict[str, Any]:
        happens = self.happens
        if happens and endpoint == "tasks.edit_hyper_params":
            self.happens = None
            happens()
        return super().call(endpoint, **request)


def test_register__two_names_concurrently__are_both_registered(
    clearml: ClearML, client: Client, audits: AuditSchedule, queue: Queue
) -> None:
    digits, letters = (replace(audits, arguments={**audits.arguments, "_name": name}) for name in ("digits", "letters"))
    session = Meanwhile(clearml.host, clearml.authorization)
    session.happens = lambda: audit_schedules.register(clearml, letters, queue=queue)
    made = audit_schedules.register(session, digits, queue=queue)
    assert made.new and len(live_tasks(client, audits)) == 2


def test_register__audits_of_several_names__have_a_schedule_each(
    clearml: ClearML, client: Client, audits: AuditSchedule, queue: Queue
) -> None:
    names = [replace(audits, arguments={**audits.arguments, "_name": name}) for name in ("digits", "letters")]
    digits, letters = [audit_schedules.register(clearml, named, queue=queue) for named in names]
    assert (letters.ended, len(live_tasks(client, audits))) == ((), 2)
    repeated = audit_schedules.register(clearml, replace(names[0], when=schedule.parse("daily 06:00")), queue=queue)
    assert repeated.ended == (digits.id,)
    assert audit_schedules.unregister(clearml, audits.project, name="letters") == (letters.id,)
    assert audit_schedules.unregister(clearml, audits.project) == (repeated.id,)


def test_register__clone_of_a_schedule_by_a_user__is_left_alone(
    clearml: ClearML, client: Client, audits: AuditSchedule, queue: Queue
) -> None:
    first = audit_schedules.register(clearml, audits, queue=queue)
    clone = client.call("tasks.clone", task=first.id)["id"]
    client.call("tasks.enqueue", task=clone, queue=queue.id)
    assert audit_schedules.unregister(clearml, audits.project) == (first.id,)
    assert [task["id"] for task in live_tasks(client, audits)] == [clone]


def test_from_arguments__of_a_registered_task__is_what_was_registered(
    clearml: ClearML, audits: AuditSchedule, queue: Queue
) -> None:
    registered = audit_schedules.register(clearml, audits, queue=queue)
    arguments = pipeline_runs.read(clearml, registered.id).arguments
    assert audit_schedules.from_arguments(arguments) == audits


def test_start_audit__due__registers_the_template_and_starts_a_run_like_the_web_ui(
    clearml: ClearML, client: Client, audits: AuditSchedule
) -> None:
    queue = client.call("queues.create", name=audits.controllers)["id"]
    client.call("workers.register", worker=f"{audits.controllers}-worker", queues=[queue])
    first, second = (audit_scheduler.start_audit(clearml, audits) for _ in range(2))
    runs = [pipeline_runs.read(clearml, run) for run in (first, second)]
    assert [(run.status, run.project) for run in runs] == [("queued", f"{audits.project}/.pipelines/audit")] * 2
    assert [run.arguments["projects"] for run in runs] == ["Digits", "Digits"]
    for run in runs:
        client.call("tasks.dequeue", task=run.id)


def test_start_audit__no_worker_listens__is_reported(clearml: ClearML, client: Client, audits: AuditSchedule) -> None:
    client.call("queues.create", name=audits.controllers)
    with pytest.raises(ClearMLError, match="no worker listens"):
        audit_scheduler.start_audit(clearml, audits)
