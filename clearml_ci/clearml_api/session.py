"""The one gateway to ClearML. All its requests go through one session and are counted.

It speaks the server's API through the SDK's own session, because the SDK's task objects cost a request a task, and
`Task.get_task(task_id="")` binds to a stranger's newest task.

Its parts: `clearml_queues`, `clearml_runs` (pipelines and their steps), `clearml_stops` (how a run is ended),
`clearml_tasks` (evidence and metrics), `clearml_launch`, `clearml_baseline`, `clearml_audit`, `clearml_schedule`.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from clearml import Task
from clearml.backend_api.session import Session
from clearml.backend_api.session.defs import ENV_ACCESS_KEY, ENV_HOST_VERIFY_CERT
from clearml.backend_api.session.session import LoginError
from clearml.config import config_obj

from clearml_ci.core.errors import UsageError, nearest

ENDED = ("completed", "published", "closed", "failed", "stopped")


LIVE = ("queued", "in_progress")


OWN_MARK, RUN_MARK, PURPOSE_MARK = "clearml_ci_task", "clearml_ci_run", "clearml_ci_purpose"


PAGE = 100  # tasks a request


MOST = 500  # records a request that the server gives at most


TIMEOUTS = (5.0, 15.0)  # seconds to connect, and to wait for an answer


_RETRIES = {"total": 3, "connect": 2, "read": 2, "backoff_factor": 0.5, "backoff_max": 2}


_ESCAPED = re.compile(r"^%+_")


# The fields in which the mark of ownership stands.
MARKS = [f"runtime.{mark}" for mark in (OWN_MARK, RUN_MARK, PURPOSE_MARK)]


class ClearMLError(Exception):
    """The server refused, did not answer, or does not hold what was asked for."""


class TaskGoneError(ClearMLError):
    """The server has no task of this id, or no longer."""


@dataclass
class ClearML:
    """A session with the server that counts its requests."""

    session: Session
    requests: int = field(default=1)  # the login

    def call(self, endpoint: str, **request: Any) -> dict[str, Any]:
        """The `data` of one endpoint's answer. Raises ClearMLError with the server's own words."""
        service, action = endpoint.split(".")
        self.requests += 1
        try:
            response = self.session.send_request(service, action, json=request)
            body = response.json()
        except (requests.RequestException, ValueError) as error:
            raise ClearMLError(f"{endpoint}: no answer from {self.session.host} ({type(error).__name__})") from error
        if not response.ok:
            message = body.get("meta", {}).get("result_msg", response.reason)
            raise ClearMLError(f"{endpoint}: the ClearML server refused: {message}")
        data: dict[str, Any] = body.get("data") or {}
        return data

    def task_url(self, task: Mapping[str, Any]) -> str:
        """The page of a task in ClearML's web UI; of a controller, its run's page among the pipelines."""
        project = (task.get("project") or {}).get("id") or "*"
        if task.get("type") == "controller":
            return f"{Session.get_app_server_host()}/pipelines/{project}/experiments/{task['id']}"
        return str(Task.get_task_output_log_web_page(task["id"], project, Session.get_app_server_host()))


def connect() -> ClearML:
    """A session from the usual CLEARML_* variables or clearml.conf.

    Raises UsageError where something is not configured, and ClearMLError, within seconds, where no server answers.
    """
    if not (ENV_ACCESS_KEY.get() or config_obj.get("api.credentials.access_key", None)):
        raise UsageError(
            "no ClearML keys are configured: set CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY "
            "(GitHub gives no secrets to pull requests from forks: check those with `on: pull_request_target`)"
        )
    _require_web_host()
    host = Session.get_api_server_host().rstrip("/")
    _ping(host)
    Session._session_timeout = TIMEOUTS  # the SDK waits 300 s for each answer, and then tries again
    try:
        return ClearML(Session(http_retries_config=dict(_RETRIES)))
    except LoginError as error:
        raise ClearMLError(
            f"the ClearML server {host} refused the keys: check CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY"
        ) from error
    except (requests.RequestException, ValueError) as error:
        raise ClearMLError(f"the ClearML server {host} let nobody log in ({type(error).__name__})") from error


def _require_web_host() -> None:
    try:
        Session.get_app_server_host()
    except ValueError as error:
        raise UsageError(
            "the address of ClearML's web pages cannot be told from the API's: set CLEARML_WEB_HOST"
        ) from error


def _ping(host: str) -> None:
    """Ask once, with short limits: the session itself would try for minutes."""
    verify = ENV_HOST_VERIFY_CERT.get(default=config_obj.get("api.verify_certificate", True))
    try:
        answer = requests.get(f"{host}/debug.ping", timeout=TIMEOUTS, verify=verify)
    except requests.RequestException as error:
        answered = type(error).__name__
    else:
        answered = f"HTTP {answer.status_code}"
        if answer.ok and '"meta"' in answer.text:
            return
    raise ClearMLError(f"no ClearML server answers at {host} ({answered}): check CLEARML_API_HOST")


def ids_and_names(clearml: ClearML, service: str) -> list[dict[str, Any]]:
    """Of all queues, or of all projects that are not hidden."""
    found: list[dict[str, Any]] = clearml.call(
        f"{service}.get_all", only_fields=["id", "name"], search_hidden=service == "queues"
    )[service]
    return found


def every(clearml: ClearML, service: str, **where: Any) -> Iterator[dict[str, Any]]:
    """All records that a filter matches, MOST a request. What the server does not know as a filter it ignores."""
    endpoint = f"{service}.get_all_ex" if service == "tasks" else f"{service}.get_all"
    for page in itertools.count():
        found = clearml.call(endpoint, page=page, page_size=MOST, search_hidden=True, **where)[service]
        yield from found
        if len(found) < MOST:
            return


def project_id(clearml: ClearML, name: str) -> str | None:
    """The id of the project of exactly this name, hidden ones included."""
    found = clearml.call(
        "projects.get_all", name=f"^{re.escape(name)}$", only_fields=["id", "name"], search_hidden=True
    )["projects"]
    return next((project["id"] for project in found if project["name"] == name), None)


def existing_project_id(clearml: ClearML, name: str) -> str:
    """As project_id. Raises UsageError that names the projects there are."""
    found = project_id(clearml, name)
    if found is None:
        names = [project["name"] for project in ids_and_names(clearml, "projects")]
        raise UsageError(f"no ClearML project '{name}'{nearest(name, names, what='projects')}")
    return found


def mark(clearml: ClearML, task: str, *, run: str, purpose: str) -> None:
    """The mark of ownership: it names the task itself, because clones copy tags and parent, but no runtime."""
    add_runtime(clearml, task, {OWN_MARK: task, RUN_MARK: run, PURPOSE_MARK: purpose})


def owned(clearml: ClearML, task: str, *, run: str) -> bool:
    """Does the task carry this run's mark?"""
    return is_marked(fields_of(clearml, task, MARKS), run)


def add_runtime(clearml: ClearML, task: str, properties: Mapping[str, str]) -> None:
    """`tasks.edit` replaces all runtime properties at once, so the present ones are read first."""
    present = fields_of(clearml, task, ["runtime"]).get("runtime") or {}
    clearml.call("tasks.edit", task=task, runtime={**present, **properties}, force=True)


def set_properties(clearml: ClearML, task: str, properties: Mapping[str, str]) -> None:
    """User properties, on a task in any status; the others stay."""
    clearml.call("tasks.edit_hyper_params", task=task, hyperparams=section_items("properties", properties), force=True)


def status_of(clearml: ClearML, task: str) -> str:
    """A task's status."""
    return str(fields_of(clearml, task, ["status"])["status"])


def is_marked(task: Mapping[str, Any], run: str) -> bool:
    """Does a task, read with MARKS, carry this run's mark?"""
    runtime = task.get("runtime") or {}
    return bool(run) and (runtime.get(OWN_MARK), runtime.get(RUN_MARK)) == (task["id"], run)


def purpose_of(task: Mapping[str, Any]) -> str:
    """What a check made this task for; empty where its mark is none, or not its own."""
    return _marked(task, PURPOSE_MARK)


def run_of(task: Mapping[str, Any]) -> str:
    """The run that made this task; empty where its mark is none, or not its own."""
    return _marked(task, RUN_MARK)


def _marked(task: Mapping[str, Any], mark: str) -> str:
    runtime = task.get("runtime") or {}
    return str(runtime.get(mark, "")) if runtime.get(OWN_MARK) == task["id"] else ""


def argument(clearml: ClearML, task: str, name: str) -> str:
    """One of a task's `Args`, empty where it has none."""
    return values(fields_of(clearml, task, ["hyperparams.Args"]), "Args").get(name, "")


def fields_of(clearml: ClearML, task: str, fields: Sequence[str]) -> dict[str, Any]:
    """As fields_of_all, of one task."""
    (found,) = fields_of_all(clearml, [task], fields)
    return found


def fields_of_all(clearml: ClearML, tasks: Sequence[str], fields: Sequence[str]) -> list[dict[str, Any]]:
    """These tasks, in this order, in one request. Raises ClearMLError where one is not there."""
    wanted = list(dict.fromkeys(not_empty(task) for task in tasks))
    found = clearml.call(
        "tasks.get_all_ex",
        id=wanted,
        only_fields=["id", *(field for field in fields if field != "id")],
        page=0,
        page_size=len(wanted),
        search_hidden=True,
    )["tasks"]
    by_id = {task["id"]: dict(task) for task in found}
    for task in wanted:
        if task not in by_id:
            raise TaskGoneError(f"no ClearML task {task}")
    return [by_id[task] for task in wanted]


def not_empty(task: str) -> str:
    """An empty id makes several of ClearML's calls answer with a stranger's newest task."""
    if not task:
        raise ClearMLError("an empty task id: nothing is asked for and nothing is touched")
    return task


def values(task: Mapping[str, Any], section: str) -> dict[str, str]:
    """A section of a task's parameters, by name.

    `pipelines.start_pipeline` escapes the names of what it clones once more each time: the parameters that a rerun of a
    rerun was not given come back as `%%_context` (clone_task in apiserver/bll/task/task_bll.py, servers 2.0 to 2.3).
    """
    items = ((task.get("hyperparams") or {}).get(section) or {}).items()
    found = {name: str(item.get("value") or "") for name, item in sorted(items, key=lambda item: -item[0].count("%"))}
    return {_ESCAPED.sub("_", name): value for name, value in found.items()}  # of two, the one that was escaped less


def section_items(section: str, values: Mapping[str, str]) -> list[dict[str, str]]:
    """A section of parameters, as `tasks.edit_hyper_params` takes it."""
    return [{"section": section, "name": name, "value": value, "type": "str"} for name, value in values.items()]
