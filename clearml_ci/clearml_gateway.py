"""The one module that speaks to ClearML. All its requests go through one session and are counted.

It speaks the server's API through the SDK's own session, because the SDK's task objects cost a request a task, and
`Task.get_task(task_id="")` binds to a stranger's newest task.
"""

import contextlib
import itertools
import json
import math
import re
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any

import requests
from clearml import PipelineController, Task
from clearml.backend_api.session import Session
from clearml.backend_api.session.defs import ENV_ACCESS_KEY, ENV_HOST_VERIFY_CERT
from clearml.backend_api.session.session import LoginError
from clearml.config import config_obj

from clearml_ci import __version__, alike
from clearml_ci.alike import Inputs
from clearml_ci.errors import UsageError, nearest
from clearml_ci.evidence import RecordedTask
from clearml_ci.gate import Gate, Reported, Summary
from clearml_ci.source import Source

ENDED = ("completed", "published", "closed", "failed", "stopped")
LIVE = ("queued", "in_progress")
PIPELINES = "/.pipelines/"  # below a project: its pipelines, one project each
TEMPLATE_MARK = "clearml_ci_template"
OWN_MARK, RUN_MARK, PURPOSE_MARK = "clearml_ci_task", "clearml_ci_run", "clearml_ci_purpose"
RESULT = "result"
WATCHED_WITHIN = 90  # seconds: a queue is watched when a worker was seen on it within this time
PAGE = 100  # tasks a request
MOST = 500  # records a request that the server gives at most
DATASETS = "Datasets"  # the section in which `Dataset.get(alias=...)` records what a task read
_NO_HYPERPARAMETERS = (DATASETS, "properties")  # the second: what people and programs note on a task afterwards
STOPS_WITHIN = 10  # seconds that agents are given to end what they run
TIMEOUTS = (5.0, 15.0)  # seconds to connect, and to wait for an answer
_RETRIES = {"total": 3, "connect": 2, "read": 2, "backoff_factor": 0.5, "backoff_max": 2}
SUPERSEDED = "superseded_by"
_MARKS = [f"runtime.{mark}" for mark in (OWN_MARK, RUN_MARK, PURPOSE_MARK)]
_RUN_FIELDS = [
    *("id", "type", "status", "status_message", "status_reason", "project.id", "project.name", "user.name"),
    *("hyperparams.Args", f"hyperparams.properties.{SUPERSEDED}"),
]
_TASK_FIELDS = [
    *("id", "name", "project.id", "project.name", "status", "system_tags"),
    *("script.version_num", "script.repository", "script.diff"),
    *_MARKS,
]


class ClearMLError(Exception):
    """The server refused, did not answer, or does not hold what was asked for."""


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


# --- queues -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Queue:
    """A queue and the ids of the workers that were seen on it lately."""

    id: str
    name: str
    workers: frozenset[str]


def watched_queues(clearml: ClearML, names: Iterable[str]) -> dict[str, Queue]:
    """The queues of these names. Raises UsageError where one does not exist, ClearMLError where nobody watches it."""
    known = {queue["name"]: queue["id"] for queue in _all(clearml, "queues")}
    watching: dict[str, set[str]] = {}
    for worker in clearml.call("workers.get_all", last_seen=WATCHED_WITHIN).get("workers", []):
        for queue in worker.get("queues", []):
            watching.setdefault(queue.get("name"), set()).add(worker["id"])
    alive = f"queues with workers: {', '.join(sorted(name for name in known if name in watching)) or 'none'}"
    for name in names:
        if name not in known:
            raise UsageError(f"no queue '{name}'; {alive}")
        if name not in watching:
            start = f"clearml-agent daemon --detached --queue {shlex.quote(name)}"
            raise ClearMLError(f"no worker listens to the queue '{name}'; {alive}. Start one with: {start}")
    return {name: Queue(known[name], name, frozenset(watching[name])) for name in names}


def refuse_deadlock(queues: Sequence[Queue]) -> None:
    """A controller occupies its worker until its steps have ended, and a step until what it launched has.

    Raises UsageError where fewer workers than queues serve some of them: one would wait for itself for ever.
    """
    for size in range(2, len(queues) + 1):
        for some in itertools.combinations(queues, size):
            workers = frozenset().union(*(queue.workers for queue in some))
            if len(workers) < size:
                names = " and ".join(f"'{queue.name}'" for queue in some)
                served = "one worker alone serves" if len(workers) == 1 else f"only {len(workers)} workers serve"
                raise UsageError(
                    f"{served} the queues {names}: a run would wait for itself for ever; start another clearml-agent, "
                    f"one a queue: clearml-agent daemon --detached --queue {shlex.quote(some[-1].name)}"
                )


def refuse_shared_workers(*, steps: Queue, code: Queue) -> None:
    """Raises UsageError where one agent serves the trusted steps and pull-request code, under whatever names."""
    both = sorted(steps.workers & code.workers)
    if both:
        raise UsageError(
            f"the agent {both[0]} serves '{steps.name}' and '{code.name}': pull-request code could read the "
            "credentials of the trusted steps; start an agent of its own for each"
        )


def _all(clearml: ClearML, service: str) -> list[dict[str, Any]]:
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


# --- projects -----------------------------------------------------------------------------------------------


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
        names = [project["name"] for project in _all(clearml, "projects")]
        raise UsageError(f"no ClearML project '{name}'{nearest(name, names, what='projects')}")
    return found


# --- the pipeline's template and runs -----------------------------------------------------------------------


def template(
    clearml: ClearML, *, project: str, name: str, source: Source, arguments: Mapping[str, str]
) -> tuple[str, bool]:
    """The id of the draft that runs of this version are cloned from, and whether it was registered just now.

    Triggers that register at the same time converge: the oldest one counts.
    """
    found = _template(clearml, f"{project}{PIPELINES}{name}", source)
    if found:
        return found, False
    _register(clearml, project=project, name=name, source=source, arguments=arguments)
    registered = _template(clearml, f"{project}{PIPELINES}{name}", source)
    if registered is None:
        raise ClearMLError(f"the pipeline template '{project}/{name}' was registered but cannot be found again")
    return registered, True


def _template(clearml: ClearML, project: str, source: Source) -> str | None:
    where = project_id(clearml, project)
    if where is None:
        return None
    drafts = clearml.call(
        "tasks.get_all",
        project=[where],
        type=["controller"],
        status=["created"],
        _all_={"fields": ["script.version_num"], "pattern": f"^{source.commit}$"},
        system_tags=["-archived"],
        only_fields=["id", "runtime", "script.repository", "script.version_num"],
        order_by=["created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
    )["tasks"]
    return next((draft["id"] for draft in drafts if _is_template(draft, source)), None)


def _is_template(draft: Mapping[str, Any], source: Source) -> bool:
    """Clones copy tags, script and Args, but not `runtime`: the mark names the task that it stands on."""
    mark = (draft.get("runtime") or {}).get(TEMPLATE_MARK)
    script = draft.get("script") or {}
    return bool(
        mark == draft["id"]
        and (script.get("repository"), script.get("version_num")) == (source.repository, source.commit)
    )


def _register(clearml: ClearML, *, project: str, name: str, source: Source, arguments: Mapping[str, str]) -> None:
    try:
        draft = PipelineController.create(
            project_name=project,
            task_name=name,
            repo=source.repository,
            commit=source.commit,
            script=f"pipelines/{name}.py",
            working_directory=".",
            version=__version__,
            add_run_number=False,
            detect_repository=False,
        ).id
    except Exception as error:  # the SDK raises whatever its layers raise
        raise ClearMLError(f"the pipeline '{project}/{name}' could not be registered: {error}") from error
    clearml.call("tasks.edit_hyper_params", task=draft, hyperparams=_section("Args", arguments))
    clearml.call("tasks.edit", task=draft, runtime={TEMPLATE_MARK: draft})


def start(clearml: ClearML, *, template: str, queue: Queue, arguments: Mapping[str, str]) -> str:
    """The id of a new, enqueued run of the template: the very call that the web UI's New run sends."""
    answer = clearml.call(
        "pipelines.start_pipeline",
        task=template,
        queue=queue.id,
        args=[{"name": name, "value": value} for name, value in arguments.items()],
        verify_watched_queue=True,
    )
    if not answer.get("enqueued"):
        raise ClearMLError(f"the run {answer.get('pipeline')} was not enqueued on '{queue.name}'")
    return str(answer["pipeline"])


def ask_to_stop(clearml: ClearML, run: str, *, reason: str) -> None:
    """Tell a run that we started, its steps and what they launched to stop, queued ones included.

    Not with `include_pipeline_steps`: older servers do not know it, and it also stops reruns and clones of steps, which
    are children of the run too.
    """
    for task in sorted(_live(clearml, run), key=lambda one: one != run):  # the controller first: it starts steps
        with contextlib.suppress(ClearMLError):  # it has just ended by itself
            clearml.call("tasks.stop", task=task, status_reason=reason)


def stop(clearml: ClearML, run: str, *, reason: str) -> None:
    """As ask_to_stop, and returns when all of them have ended.

    An agent ends a running task when it next looks at it. Until then the controller may start one more step, so the
    run is looked at again and again. What has not ended in time, because its agent is gone, is marked as stopped:
    `tasks.stop` alone only asks while a worker is believed to be there.
    """
    deadline = time.monotonic() + STOPS_WITHIN
    while left := _live(clearml, run):
        if time.monotonic() > deadline:
            for task in left:
                clearml.call("tasks.stopped", task=task, force=True, status_reason=reason)
            break
        ask_to_stop(clearml, run, reason=reason)
        time.sleep(1)
    _archive_probes(clearml, run)


def _archive_probes(clearml: ClearML, run: str) -> None:
    """What its own step would have done, had it not been killed."""
    children = _children(clearml, run, fields=["system_tags", *_MARKS])
    probes = [one["id"] for one in children if _is_marked(one, run) and _purpose(one) == "probe"]
    if probes:
        clearml.call("tasks.archive", tasks=probes)


def _live(clearml: ClearML, run: str) -> set[str]:
    """The run and what carries its mark, as far as it has not ended: clones of steps are children too, and not ours."""
    children = _children(clearml, run, fields=["status", *_MARKS])
    tasks = [fields_of(clearml, run, ["status"]), *(child for child in children if _is_marked(child, run))]
    return {task["id"] for task in tasks if task["status"] in LIVE}


def stop_children(clearml: ClearML, run: str, *, reason: str) -> None:
    """Tell a run's steps and what they launched to stop: an abort in an older web UI reaches the controller alone."""
    for task in _live(clearml, run) - {run}:
        with contextlib.suppress(ClearMLError):  # it has just ended by itself
            clearml.call("tasks.stop", task=task, status_reason=reason)


# --- the mark of what is ours -------------------------------------------------------------------------------


def mark(clearml: ClearML, task: str, *, run: str, purpose: str) -> None:
    """The mark of ownership: it names the task itself, because clones copy tags and parent, but no runtime."""
    add_runtime(clearml, task, {OWN_MARK: task, RUN_MARK: run, PURPOSE_MARK: purpose})


def owned(clearml: ClearML, task: str, *, run: str) -> bool:
    """Does the task carry this run's mark?"""
    return _is_marked(fields_of(clearml, task, _MARKS), run)


def add_runtime(clearml: ClearML, task: str, properties: Mapping[str, str]) -> None:
    """`tasks.edit` replaces all runtime properties at once, so the present ones are read first."""
    present = fields_of(clearml, task, ["runtime"]).get("runtime") or {}
    clearml.call("tasks.edit", task=task, runtime={**present, **properties}, force=True)


def set_properties(clearml: ClearML, task: str, properties: Mapping[str, str]) -> None:
    """User properties, on a task in any status; the others stay."""
    clearml.call("tasks.edit_hyper_params", task=task, hyperparams=_section("properties", properties), force=True)


def status_of(clearml: ClearML, task: str) -> str:
    """A task's status."""
    return str(fields_of(clearml, task, ["status"])["status"])


def recorded_task(clearml: ClearML, task: str) -> RecordedTask:
    """One task, as far as decisions and verdicts need it."""
    return _recorded(clearml, fields_of(clearml, task, _TASK_FIELDS))


# --- a run and its steps ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One step of a run: its ClearML status, and its result once it has left one."""

    id: str
    name: str
    status: str
    result: dict[str, Any] | None


@dataclass(frozen=True)
class Run:
    """A pipeline run: `arguments` are the strings of its `Args` section."""

    id: str
    url: str
    status: str
    message: str
    arguments: dict[str, str]
    project: str
    project_id: str
    superseded_by: str
    user: str = ""  # the name of whose it is


def run(clearml: ClearML, run_id: str) -> Run:
    """Raises ClearMLError where there is no such run."""
    return _run(clearml, fields_of(clearml, run_id, _RUN_FIELDS))


def _run(clearml: ClearML, task: Mapping[str, Any]) -> Run:
    return Run(
        id=task["id"],
        url=clearml.task_url(task),
        status=task["status"],
        message=task.get("status_message") or task.get("status_reason") or "",
        arguments=values(task, "Args"),
        project=task["project"]["name"],
        project_id=task["project"]["id"],
        superseded_by=superseded_by(task),
        user=str((task.get("user") or {}).get("name") or "") if isinstance(task.get("user"), dict) else "",
    )


def oldest_run(clearml: ClearML, beside: Run, *, argument: str, value: str) -> Run | None:
    """The oldest run of a run's own pipeline that has this value among its `Args`, or None. A draft is no run."""
    found = clearml.call(
        "tasks.get_all_ex",
        project=[beside.project_id],
        type=["controller"],
        status=[*LIVE, *ENDED],
        only_fields=_RUN_FIELDS,
        order_by=["created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
        **{f"hyperparams.Args.{argument}.value": [value]},
    )["tasks"]
    return next((_run(clearml, task) for task in found if values(task, "Args").get(argument) == value), None)


def steps(clearml: ClearML, run_id: str) -> dict[str, Step]:
    """The steps that the run has started so far, by name: of several of a name, the newest.

    Reruns, launched tasks and clones are children too, and left out.
    """
    children = _children(clearml, run_id, fields=["name", "status", "configuration.result", *_MARKS])
    own = [child for child in children if _is_marked(child, run_id) and _purpose(child) == "step"]
    return {child["name"]: Step(child["id"], child["name"], child["status"], _result(child)) for child in own}


def _is_marked(task: Mapping[str, Any], run: str) -> bool:
    runtime = task.get("runtime") or {}
    return bool(run) and (runtime.get(OWN_MARK), runtime.get(RUN_MARK)) == (task["id"], run)


def _purpose(task: Mapping[str, Any]) -> str:
    """What a check made this task for; empty where its mark is none, or not its own."""
    runtime = task.get("runtime") or {}
    return str(runtime.get(PURPOSE_MARK, "")) if runtime.get(OWN_MARK) == task["id"] else ""


def superseded_by(task: Mapping[str, Any]) -> str:
    """The newer run that took this one's place, or nothing."""
    newer, _, own = values(task, "properties").get(SUPERSEDED, "").partition(" instead of ")
    return newer if own == task["id"] else ""  # a clone copies the property, and was not superseded itself


def end_superseded(clearml: ClearML, run_id: str) -> bool:
    """Ends a controller, from within, that was superseded while it started: `Task.init` forgets that it was told so."""
    newer = run(clearml, run_id).superseded_by
    if newer:
        stop_children(clearml, run_id, reason=f"ClearML CI: superseded by run {newer}")
        reason = f"ClearML CI: superseded by run {newer}"
        clearml.call("tasks.stopped", task=run_id, force=True, status_reason=reason)
    return bool(newer)


def supersede(clearml: ClearML, run_id: str) -> list[Run]:
    """Tell the older checks of the same pull request to stop, and mark them; those that were told so."""
    own = run(clearml, run_id)
    older = [
        one for one in _live_runs(clearml, own) if one.arguments.get("pull_request") == own.arguments["pull_request"]
    ]
    for one in older:
        set_properties(clearml, one.id, {SUPERSEDED: f"{run_id} instead of {one.id}"})
        ask_to_stop(clearml, one.id, reason=f"ClearML CI: superseded by run {run_id}")
    return older


def _live_runs(clearml: ClearML, own: Run) -> list[Run]:
    """The runs of the same pipeline that were started before this one and have not ended, oldest first."""
    found = clearml.call(
        "tasks.get_all_ex",
        project=[own.project_id],
        type=["controller"],
        status=list(LIVE),
        only_fields=[*_RUN_FIELDS, *_MARKS],
        order_by=["created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
    )["tasks"]
    ids = [task["id"] for task in found]
    older = found[: ids.index(own.id)] if own.id in ids else []
    return [_run(clearml, task) for task in older if _is_marked(task, task["id"])]


def store_result(clearml: ClearML, task: str, result: Mapping[str, Any]) -> None:
    """Leave a step's result on its own task, where it also reads well in the web UI."""
    item = {"name": RESULT, "type": "json", "value": json.dumps(result, indent=1)}
    clearml.call("tasks.edit", task=task, configuration={RESULT: item}, force=True)


def publish_verdict(clearml: ClearML, run_id: str, verdict: Mapping[str, Any]) -> None:
    """The verdict as an artifact on the run, summed up in its user properties."""
    task = Task.get_task(task_id=_not_empty(run_id))
    if not task.upload_artifact("verdict", dict(verdict), wait_on_upload=True):
        raise ClearMLError(f"the verdict could not be stored on the run {run_id}: is ClearML's file server up?")
    summary = {key: str(verdict[key] or "") for key in ("outcome", "exit_reason", "commit", "pull_request")}
    if verdict["rerun"]:
        summary["rerun"] = verdict["rerun"]["said"]
    set_properties(clearml, run_id, summary)


def argument(clearml: ClearML, task: str, name: str) -> str:
    """One of a task's `Args`, empty where it has none."""
    return values(fields_of(clearml, task, ["hyperparams.Args"]), "Args").get(name, "")


def _children(clearml: ClearML, run_id: str, fields: Sequence[str]) -> list[dict[str, Any]]:
    children = clearml.call(
        "tasks.get_all",
        parent=_not_empty(run_id),
        only_fields=["id", "type", "parent", *fields],
        order_by=["created"],
        page=0,
        page_size=PAGE,
        search_hidden=True,
    )["tasks"]
    return [child for child in children if child["type"] != "controller" and child.get("parent") == run_id]


def _result(task: Mapping[str, Any]) -> dict[str, Any] | None:
    item = (task.get("configuration") or {}).get(RESULT)
    return json.loads(item["value"]) if item else None


def fields_of(clearml: ClearML, task: str, fields: Sequence[str]) -> dict[str, Any]:
    """As fields_of_all, of one task."""
    (found,) = fields_of_all(clearml, [task], fields)
    return found


def fields_of_all(clearml: ClearML, tasks: Sequence[str], fields: Sequence[str]) -> list[dict[str, Any]]:
    """These tasks, in this order, in one request. Raises ClearMLError where one is not there."""
    wanted = list(dict.fromkeys(_not_empty(task) for task in tasks))
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
            raise ClearMLError(f"no ClearML task {task}")
    return [by_id[task] for task in wanted]


def _not_empty(task: str) -> str:
    """An empty id makes several of ClearML's calls answer with a stranger's newest task."""
    if not task:
        raise ClearMLError("an empty task id: nothing is asked for and nothing is touched")
    return task


def values(task: Mapping[str, Any], section: str) -> dict[str, str]:
    """A section of a task's parameters, by name."""
    items = ((task.get("hyperparams") or {}).get(section) or {}).items()
    return {name: str(item.get("value") or "") for name, item in items}


def _section(section: str, values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"section": section, "name": name, "value": value, "type": "str"} for name, value in values.items()]


# --- evidence and metrics -----------------------------------------------------------------------------------


def tasks_of_commit(clearml: ClearML, *, commit: str, project: str | None, task_name: str) -> Iterator[RecordedTask]:
    """The tasks that recorded this commit, newest first, in any status, archived ones included: 100 a request.

    `project` is an id, or None for the whole workspace. The commit filter is an unanchored, case-insensitive regex
    over fields; it is anchored here, and equality is checked again by whoever decides.
    """
    where: dict[str, Any] = {"project": [project]} if project else {}
    if task_name:
        where["name"] = f"^{re.escape(task_name)}$"
    for page in itertools.count():
        found = clearml.call(
            "tasks.get_all_ex",
            _all_={"fields": ["script.version_num"], "pattern": f"^{commit}$"},
            only_fields=_TASK_FIELDS,
            order_by=["-started"],
            page=page,
            page_size=PAGE,
            **where,
        )["tasks"]
        yield from (_recorded(clearml, task) for task in found)
        if len(found) < PAGE:
            return


def best_tasks(
    clearml: ClearML, *, project: str | None, task_name: str, tag: str, gates: Sequence[Gate]
) -> list[tuple[RecordedTask, Reported]]:
    """The tasks that carry the best tag, in any status, archived ones included, with their metrics: one request.

    `project` is an id, or None for the whole workspace.
    """
    where: dict[str, Any] = {"project": [project]} if project else {}
    if task_name:
        where["name"] = f"^{re.escape(task_name)}$"
    found = clearml.call(
        "tasks.get_all_ex",
        tags=[tag],
        only_fields=[*_TASK_FIELDS, *_metric_fields(gates)],
        order_by=["-started"],
        page=0,
        page_size=PAGE,
        **where,
    )["tasks"]
    return [(_recorded(clearml, task), _reported(task, gates)) for task in found]


def matching(clearml: ClearML, gates: Sequence[Gate], **where: Any) -> Iterator[tuple[RecordedTask, Reported]]:
    """The tasks that a filter matches, in any status, archived ones included, with their metrics: MOST a request."""
    for task in every(clearml, "tasks", only_fields=[*_TASK_FIELDS, *_metric_fields(gates)], **where):
        yield _recorded(clearml, task), _reported(task, gates)


def metrics_of(
    clearml: ClearML, tasks: Sequence[str], gates: Sequence[Gate]
) -> dict[str, tuple[RecordedTask, Reported]]:
    """The gates' metrics of tasks, from `last_metrics`: the whole curves' extremes, not thinned ones'. One request."""
    found = fields_of_all(clearml, tasks, [*_TASK_FIELDS, *_metric_fields(gates)])
    return {task["id"]: (_recorded(clearml, task), _reported(task, gates)) for task in found}


def task_inputs(clearml: ClearML, tasks: Sequence[str]) -> dict[str, Inputs]:
    """What went into tasks, by id: one request."""
    fields = ["hyperparams", "script.requirements", "models.input", "runtime"]
    return {task["id"]: _inputs(task) for task in fields_of_all(clearml, tasks, fields)}


def curves(
    clearml: ClearML, wanted: Mapping[str, Sequence[Gate]]
) -> dict[tuple[str, Gate], tuple[tuple[float, float], ...]]:
    """The finite points (iteration, value) of each task's metrics: one request a task, 2,000 points at most.

    The server averages a longer curve over intervals, and has no curve of a single value.
    """
    found = {}
    for task, gates in wanted.items():
        titles = {gate.title: [g.series for g in gates if g.title == gate.title] for gate in gates}
        answer = clearml.call(
            "events.scalar_metrics_iter_histogram",
            task=_not_empty(task),
            key="iter",
            samples=2000,
            metrics=[{"metric": title, "variants": series} for title, series in titles.items()],
        )
        for gate in gates:
            found[task, gate] = _points((answer.get(gate.title) or {}).get(gate.series) or {})
    return found


def _points(curve: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    pairs = [(_float(x), _float(y)) for x, y in zip(curve.get("x") or [], curve.get("y") or [], strict=False)]
    return tuple(sorted((x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)))


def scalars(clearml: ClearML, task: str) -> list[Summary]:
    """All series of a task (the server keeps up to 2,000), without the machine's own `:monitor:` ones."""
    titles = (fields_of(clearml, task, ["last_metrics"]).get("last_metrics") or {}).values()
    every = [_to_summary(item) for title in titles for item in title.values()]
    return sorted((s for s in every if not s.title.startswith(":monitor:")), key=lambda s: (s.title, s.series))


def series_names(clearml: ClearML, task: str) -> list[str]:
    """`title/series` of all that a task reported."""
    return [f"{summary.title}/{summary.series}" for summary in scalars(clearml, task)]


def _inputs(task: Mapping[str, Any]) -> Inputs:
    sections = task.get("hyperparams") or {}
    requirements = ((task.get("script") or {}).get("requirements") or {}).get("pip") or ""
    models = {f"models/{one['name']}": _model(one) for one in (task.get("models") or {}).get("input") or []}
    return Inputs(
        hyperparameters={
            f"{section}/{name}": value
            for section in sections
            if section not in _NO_HYPERPARAMETERS
            for name, value in values(task, section).items()
        },
        packages=alike.packages(requirements if isinstance(requirements, str) else "\n".join(requirements)),
        inputs={f"{DATASETS}/{name}": value for name, value in values(task, DATASETS).items()} | models,
        gpu=str((task.get("runtime") or {}).get("gpu_type") or ""),
    )


def _model(entry: Mapping[str, Any]) -> str:
    """The id of an input model, which some servers answer with an object."""
    model = entry.get("model") or ""
    return str(model.get("id") or "") if isinstance(model, dict) else str(model)


def _metric_fields(gates: Sequence[Gate]) -> list[str]:
    return sorted({f"last_metrics.{_key(gate.title)}.{_key(gate.series)}" for gate in gates})


def _key(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()  # how the server keys last_metrics


def _reported(task: Mapping[str, Any], gates: Sequence[Gate]) -> Reported:
    metrics = task.get("last_metrics") or {}
    items = {gate: (metrics.get(_key(gate.title)) or {}).get(_key(gate.series)) for gate in gates}
    return {gate: _to_summary(item) if item else None for gate, item in items.items()}


def _to_summary(item: Mapping[str, Any]) -> Summary:
    last = _float(item.get("value"))
    return Summary(
        title=item["metric"],
        series=item["variant"],
        last=last,
        minimum=_float(item.get("min_value", last)),
        maximum=_float(item.get("max_value", last)),
    )


def _float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # a server may hold "NaN" as text, or nothing
    except (TypeError, ValueError):
        return float("nan")


def _recorded(clearml: ClearML, task: Mapping[str, Any]) -> RecordedTask:
    script, project = task.get("script") or {}, task.get("project") or {}
    return RecordedTask(
        id=task["id"],
        name=task.get("name") or "",
        project_id=project.get("id") or "",
        project=project.get("name") or "",
        status=task.get("status") or "",
        commit=script.get("version_num") or "",
        repository=script.get("repository") or "",
        diff=script.get("diff") or "",
        archived="archived" in (task.get("system_tags") or []),
        url=clearml.task_url(task),
        purpose=_purpose(task),
    )
