"""Put a seed into the draft of a training that repeats another run of its commit.

The draft gets the hyperparameters of that run, so that the two differ by their seeds alone.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clearml_ci.clearml_api import task_fields, task_parameters
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.errors import UsageError

SEED_MARK = "clearml_ci_seed"  # a runtime property


PROPERTY = "seed"  # a user property, which the web UI shows


_NOT_COPIED = "properties"  # notes that people and programs add to a task


_INJECTED = "or Task.init()"  # the SDK adds this call to a script without any


@dataclass(frozen=True)
class Seeding:
    """The way of the seed into a training like the run `like`; if that is empty, with what the script has itself.

    `parameter` is the hyperparameter of that run that holds the seed, as `Section/name`. If it is empty,
    `Task.set_random_seed` is called after the first `above` lines of the script, or, if that is None, before the call
    of `Task.init` that the agent adds.
    """

    like: str
    parameter: str = ""
    above: int | None = None


def put_in(clearml: ClearML, draft: str, seeding: Seeding, seed: str) -> None:
    """Give a draft its seed and the hyperparameters of the other run; repeated, it changes nothing."""
    copied = _hyperparameters(task_fields.read(clearml, seeding.like, ["hyperparams"])) if seeding.like else []
    shown = task_parameters.section_items("properties", {PROPERTY: seed})
    given: list[dict[str, Any]] = []
    if seeding.parameter:
        section, _, name = seeding.parameter.partition("/")
        copied = [item for item in copied if (item["section"], item["name"]) != (section, name)]
        given = list(task_parameters.section_items(section, {name: seed}))
    else:
        _call(clearml, draft, seeding, seed)
    clearml.call("tasks.edit_hyper_params", task=draft, hyperparams=[*copied, *given, *shown], force=True)


def seeds(clearml: ClearML, tasks: Sequence[str]) -> dict[str, str]:
    """Those of these tasks that were made for a seed and not stopped, each with it."""
    found = task_fields.read_existing(clearml, tasks, ["status", f"runtime.{SEED_MARK}"])
    return {
        task: str(fields["runtime"][SEED_MARK])
        for task, fields in found.items()
        if fields["status"] != "stopped" and (fields.get("runtime") or {}).get(SEED_MARK)
    }


def _hyperparameters(task: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All hyperparameters of a task, as `tasks.edit_hyper_params` takes them."""
    sections = (task.get("hyperparams") or {}).items()
    return [
        {**item, "section": section, "name": name}
        for section, items in sections
        if section != _NOT_COPIED
        for name, item in items.items()
    ]


def _call(clearml: ClearML, draft: str, seeding: Seeding, seed: str) -> None:
    """Let the draft's script call `Task.set_random_seed`, as a change that its agent applies to the clone."""
    script = dict(task_fields.read(clearml, draft, ["script"])["script"])
    diff = str(script.get("diff") or "")
    if "set_random_seed" in diff:
        return
    if seeding.above is None:
        if _INJECTED not in diff:
            raise UsageError("the call of Task.init that the agent adds has no place for a seed: add a hyperparameter")
        diff = diff.replace(_INJECTED, f"or (Task.set_random_seed({int(seed)}), Task.init())")
    else:
        line = seeding.above
        path = posixpath.normpath(posixpath.join(script.get("working_dir") or ".", script["entry_point"]))
        diff = (
            f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -{line},0 +{line + 1},1 @@\n"
            f'+__import__("clearml").Task.set_random_seed({int(seed)})\n'
        )
    clearml.call("tasks.edit", task=draft, script={**script, "diff": diff}, force=True)
