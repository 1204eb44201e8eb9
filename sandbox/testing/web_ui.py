"""The clicks of ClearML's web UI 2.0.0, each as the calls that it sends, as recorded between it and a real server.

It works with any server, over the API alone. What the UI sends only to draw a page is left out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import requests

from sandbox.runtime.clearml_access import TIMEOUT_SECONDS, Access, ClearMLError

Record = dict[str, Any]

VERSION = "v999.0"
CLIENT = {"X-Allegro-Client": "Webapp-1.14.0-000"}  # the UI's own version header is older than the UI
_PAGE = 30  # runs that the list shows before one scrolls
_WITH_ARTIFACTS = {
    "delete_external_artifacts": True,
    "delete_output_models": True,
    "return_file_urls": True,
    "force": True,
}
_LIST_FIELDS = [
    *("name", "status", "system_tags", "project.name", "company", "last_change", "last_update", "started"),
    *("last_iteration", "tags", "user.name", "runtime.progress", "hyperparams.properties.version.value"),
    *("parent.name", "runtime._pipeline_hash", "runtime.version", "execution.queue", "type"),
    "hyperparams.properties.version",
]
_RUN_FIELDS = [
    *("id", "name", "user.name", "company", "type", "status", "status_changed", "created", "started", "last_update"),
    *("last_change", "completed", "models.output.model.name", "models.output.model.project", "execution.artifacts"),
    *("execution.queue", "configuration", "hyperparams", "system_tags", "published", "runtime", "last_metrics"),
    *("runtime._pipeline_hash", "runtime.version", "models.output.model.name", "execution.artifacts"),
]
_DETAIL_FIELDS = [
    *("id", "name", "user.name", "company", "type", "status", "status_changed", "status_message", "status_reason"),
    *("comment", "created", "last_update", "last_change", "completed", "started", "parent.name", "parent.project.name"),
    *("project.name", "output", "hyperparams", "execution.queue.name", "execution.queue.display_name", "script.binary"),
    *("script.repository", "script.tag", "script.branch", "script.version_num", "script.entry_point"),
    *("script.working_dir", "script.requirements", "system_tags", "published", "last_iteration", "last_worker"),
    *("tags", "active_duration", "container", "runtime"),
]


class WebUI:
    """A browser that has logged in: its session is a cookie."""

    def __init__(self, access: Access) -> None:
        self._api_url = access.api_url
        self._http = requests.Session()
        self._http.headers.update(CLIENT)
        self._post("auth.login", auth=(access.access_key, access.secret_key))

    # --- what pages read ---

    def list_runs(
        self, project: str, *, tag: str = "", statuses: Sequence[str] = (), archived: bool = False
    ) -> list[Record]:
        """The runs of a pipeline's project, the last changed first, all pages of them."""
        filters = {"filters": {"tags": {"any": {"include": [tag], "exclude": []}}}} if tag else {}
        chosen = {"status": list(statuses)} if statuses else {}
        shown: list[Record] = []
        scroll = None
        while True:
            answer = self.call(
                "tasks.get_all_ex",
                **chosen,
                id=[],
                project=[project],
                scroll_id=scroll,
                refresh_scroll=scroll is None,
                size=_PAGE,
                order_by=["-last_update"],
                type=["controller"],
                user=[],
                system_tags=["__$and", "archived"] if archived else ["__$not", "archived"],
                **filters,
                include_subprojects=False,
                search_hidden=True,
                only_fields=_LIST_FIELDS,
            )
            shown += answer["tasks"]
            scroll = answer["scroll_id"]
            if len(answer["tasks"]) < _PAGE:
                return shown

    def run_info(self, task: str) -> Record:
        """The fields that graph and run info of a run, or the info of a step, show."""
        return self._task(task, _RUN_FIELDS)

    def details(self, task: str) -> Record:
        """The fields of the full details: tags, comment, status message, reason and the rest."""
        return self._task(task, _DETAIL_FIELDS)

    def console(self, task: str) -> str:
        """The text of the console tab, from the oldest line to the newest."""
        answer = self.call("events.get_task_log", task=task, batch_size=1000, navigate_earlier=True)
        return "\n".join(event["msg"].rstrip("\n") for event in reversed(answer["events"]))

    def plots(self, task: str) -> list[Record]:
        """The plots of the tab PLOTS and of the pane PREVIEW, in the order in which they are shown."""
        answer = self.call("events.get_task_plots", task=task, iters=1)
        return sorted(answer["plots"], key=lambda plot: str(plot["metric"]).lower())

    def step_states(self, run: str) -> dict[str, str]:
        """Each step of the graph with the status of its task, "" if it has none: how the graph polls a run."""
        run_ = self.run_info(run)
        jobs = {name: step.get("job_id") for name, step in _graph(run_).items()}
        ids = list(jobs.values())
        found = self.call("tasks.get_all_ex", id=ids, only_fields=["status"], search_hidden=True)["tasks"]
        states = {task["id"]: str(task["status"]) for task in found}
        return {name: states.get(job or "", "") for name, job in jobs.items()}

    # --- the runs list ---

    def new_run(self, pipeline: str, *, queue: str = "", **edits: str) -> str:
        """NEW RUN, then RUN: the last started run of a pipeline's project, with edited values; its id."""
        (latest,) = self.call(
            "tasks.get_all_ex",
            project=pipeline,
            type=["controller"],
            order_by=["-started"],
            page_size=1,
            only_fields=_RUN_FIELDS,
        )["tasks"]
        return self._start(latest, queue, edits)

    def run_row(self, run: str, *, queue: str = "", **edits: str) -> str:
        """Run of a row's menu, then RUN."""
        project = self._task(run, ["project"])["project"]["id"]
        (chosen,) = self.call(
            "tasks.get_all_ex", project=project, type=["controller"], id=[run], only_fields=_RUN_FIELDS
        )["tasks"]
        return self._start(chosen, queue, edits)

    def abort(self, task: str) -> Record:
        """Abort, after the dialog that names the children which run; the fields that changed."""
        self.call(
            "tasks.get_all_ex",
            page_size=2000,
            only_fields=["name", "status"],
            status=["queued", "in_progress"],
            parent=[task],
        )
        return self._changed("tasks.stop_many", task, include_pipeline_steps=True)

    def continue_(self, run: str) -> Record:
        """Continue of an aborted run: the same run, in the queue that it had."""
        queue = self.run_info(run)["execution"]["queue"]["id"]
        return self._changed("tasks.enqueue_many", run, queue=queue, validate_tasks=True)

    def add_tag(self, task: str, tag: str) -> None:
        self.call("tasks.update_tags", ids=[task], add_tags=[tag])

    def remove_tag(self, task: str, tag: str, *, shown: Sequence[str] | None = None) -> None:
        """Remove a tag: the whole list is written as the page knew it, `shown` if it is not the present one."""
        tags = self.details(task)["tags"] if shown is None else shown
        self.call("tasks.update", task=task, tags=[other for other in tags if other != tag])

    def archive(self, task: str) -> None:
        """Archive the task, of a controller its steps as well."""
        self._changed("tasks.archive_many", task, include_pipeline_steps=True)

    def restore(self, task: str) -> None:
        """Restore the task; the steps of a controller stay archived."""
        self._changed("tasks.unarchive_many", task)

    def delete(self, run: str) -> None:
        """Delete an archived run, with its steps."""
        project = self._task(run, ["project"])["project"]["id"]
        self._changed("pipelines.delete_runs", run, project=project, include_pipeline_steps=True)

    def delete_task(self, task: str) -> None:
        """Delete an archived task that is no controller, with its artifacts as the dialog proposes.

        It is the call of clearml-web's dialog for experiments; no recording has it.
        """
        self._changed("tasks.delete_many", task, **_WITH_ARTIFACTS)

    # --- full details ---

    def clone(self, task: str) -> str:
        """Clone, with what the dialog proposes; the draft's id."""
        source = self._task(task, ["name", "project"])
        answer = self.call(
            "tasks.clone",
            task=task,
            new_task_project=source["project"]["id"],
            new_task_comment="",
            new_task_name=f"Clone Of {source['name']}",
        )
        return str(answer["id"])

    def edit_parameter(self, task: str, name: str, value: str, *, section: str = "Args") -> None:
        """Edit one parameter of a draft: the whole section is written, hidden names included."""
        items = self.details(task)["hyperparams"][section]
        written = [
            {"description": "", **item, "id": str(uuid.uuid4()), **({"value": value} if item["name"] == name else {})}
            for _, item in sorted(items.items())
        ]
        self.call("tasks.edit_hyper_params", task=task, hyperparams=written, replace_hyperparams="section")

    def enqueue_draft(self, task: str, *, queue: str) -> Record:
        """Enqueue a draft in a queue of this name."""
        chosen = self._queue(queue)
        fields = ["status", "script.repository", "script.entry_point", "script.diff"]
        self.call("tasks.get_all_ex", id=[task], only_fields=fields)
        return self._changed("tasks.enqueue_many", task, queue=chosen, validate_tasks=True, verify_watched_queue=True)

    def reset(self, task: str) -> Record:
        """Reset to a draft, artifacts removed as the dialog proposes; the steps of a controller stay."""
        return self._changed("tasks.reset_many", task, **_WITH_ARTIFACTS)

    def publish(self, task: str) -> Record:
        return self._changed("tasks.publish_many", task)

    def rename(self, task: str, name: str) -> None:
        self.call("tasks.update", task=task, name=name)

    # --- calls ---

    def call(self, endpoint: str, **body: Any) -> Record:
        """Send one call. Raises ClearMLError with the server's message."""
        return self._post(endpoint, json=body)

    def _start(self, run: Record, queue: str, edits: Mapping[str, str]) -> str:
        """Send what the dialog shows: every parameter but hidden ones, as text."""
        shown = [item for item in run["hyperparams"]["Args"].values() if not item["name"].startswith("_")]
        unknown = edits.keys() - {item["name"] for item in shown}
        if unknown:
            raise ClearMLError(f"the dialog does not show {sorted(unknown)}")
        args = [{"name": item["name"], "value": edits.get(item["name"], item.get("value", ""))} for item in shown]
        preselected = (run.get("execution") or {}).get("queue") or {}
        chosen = self._queue(queue) if queue else preselected.get("id", "")
        answer = self.call(
            "pipelines.start_pipeline", task=run["id"], queue=chosen, args=args, verify_watched_queue=True
        )
        return str(answer["pipeline"])

    def _queue(self, name: str) -> str:
        queues = self.call("queues.get_all_ex")["queues"]
        found = [queue["id"] for queue in queues if queue["name"] == name]
        if not found:
            raise ClearMLError(f"the dialog offers no queue {name}")
        return str(found[0])

    def _task(self, task: str, fields: Sequence[str]) -> Record:
        found = self.call("tasks.get_by_id_ex", id=[task], only_fields=list(fields))["tasks"]
        if not found:
            raise ClearMLError(f"no task {task}")
        (record,) = found
        return dict(record)

    def _changed(self, endpoint: str, task: str, **body: Any) -> Record:
        """Change one task by a call for many: what was refused stands in an answer of 200."""
        answer = self.call(endpoint, ids=[task], **body)
        for failure in answer["failed"]:
            raise ClearMLError(f"{endpoint}: {failure['error']['msg']}")
        (changed,) = answer["succeeded"]
        return dict(changed.get("fields") or {})

    def _post(self, endpoint: str, **request: Any) -> Record:
        url = f"{self._api_url}/{VERSION}/{endpoint}"
        answer = self._http.post(url, timeout=TIMEOUT_SECONDS, **request)
        document = answer.json()
        if not answer.ok:
            raise ClearMLError(f"{endpoint}: {document['meta']['result_msg']}")
        return dict(document["data"])


def _graph(run: Record) -> Record:
    """The steps of a run, from the configuration that the SDK writes."""
    text = run.get("configuration", {}).get("Pipeline", {}).get("value") or "{}"
    steps: Record = json.loads(text)
    return steps
