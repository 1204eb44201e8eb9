"""Tasks as evidence: which ran a commit, what they reported, what went into them. A part of the ClearML gateway."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import md5
from typing import Any

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import MARKS, PAGE, ClearML
from clearml_ci.core import requirements_file
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.gate import Gate, Reported, Summary
from clearml_ci.core.recorded_task import RecordedTask

STAMP = "clearml_ci_best_since"  # a runtime property


DATASETS = "Datasets"  # the section in which `Dataset.get(alias=...)` records what a task read


_NO_HYPERPARAMETERS = (DATASETS, "properties")  # the second: what people and programs note on a task afterwards


_TASK_FIELDS = [
    *("id", "name", "project.id", "project.name", "status", "system_tags"),
    *("script.version_num", "script.repository", "script.diff"),
    *(f"runtime.{STAMP}", *MARKS),
]


def recorded_task(clearml: ClearML, task: str) -> RecordedTask:
    """One task, as far as decisions and verdicts need it."""
    return _recorded(clearml, clearml_session.fields_of(clearml, task, _TASK_FIELDS))


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
    for task in clearml_session.every(clearml, "tasks", only_fields=[*_TASK_FIELDS, *_metric_fields(gates)], **where):
        yield _recorded(clearml, task), _reported(task, gates)


def metrics_of(
    clearml: ClearML, tasks: Sequence[str], gates: Sequence[Gate]
) -> dict[str, tuple[RecordedTask, Reported]]:
    """The gates' metrics of tasks, from `last_metrics`: the whole curves' extremes, not thinned ones'. One request."""
    found = clearml_session.fields_of_all(clearml, tasks, [*_TASK_FIELDS, *_metric_fields(gates)])
    return {task["id"]: (_recorded(clearml, task), _reported(task, gates)) for task in found}


def task_inputs(clearml: ClearML, tasks: Sequence[str]) -> dict[str, Inputs]:
    """What went into tasks, by id: one request."""
    fields = ["hyperparams", "script.requirements", "models.input", "runtime"]
    return {task["id"]: _inputs(task) for task in clearml_session.fields_of_all(clearml, tasks, fields)}


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
            task=clearml_session.not_empty(task),
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
    titles = (clearml_session.fields_of(clearml, task, ["last_metrics"]).get("last_metrics") or {}).values()
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
            for name, value in clearml_session.values(task, section).items()
        },
        packages=requirements_file.versions(requirements if isinstance(requirements, str) else "\n".join(requirements)),
        inputs={f"{DATASETS}/{name}": value for name, value in clearml_session.values(task, DATASETS).items()} | models,
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
        purpose=clearml_session.purpose_of(task),
        stamp=str((task.get("runtime") or {}).get(STAMP) or ""),
    )
