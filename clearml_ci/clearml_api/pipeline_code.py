"""The code that a pipeline's run has to execute, and whether a draft or a run on the server still has it.

Any key of a ClearML server may edit any task there: a draft that names its code may carry another entry point, a
diff, or the shell script of a container as well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci.core.git_source import Source

FIELDS = ["status", "script", "container"]  # what `why_changed` reads


_PYTHON = re.compile(r"(?:python[\d.]*)?")


@dataclass(frozen=True)
class PipelineCode:
    """A file of pipelines/, without its ending, at a commit of ClearML CI."""

    source: Source
    pipeline: str


def why_changed(task: Mapping[str, Any], code: PipelineCode) -> str:
    """The field of a draft or a run that makes it execute other code, or "".

    An agent that has taken a run records its packages, and may record its container, on it.
    """
    script, container = task.get("script") or {}, task.get("container") or {}
    expected = {
        "repository": code.source.repository,
        "version_num": code.source.commit,
        "entry_point": f"pipelines/{code.pipeline}.py",
        "working_dir": ".",
        "diff": "",
    }
    changed = [f"script.{field}" for field, value in expected.items() if (script.get(field) or "") != value]
    if not _PYTHON.fullmatch(script.get("binary") or ""):
        changed.append("script.binary")
    if task["status"] in ("created", "queued"):
        changed += ["script.requirements"] * any((script.get("requirements") or {}).values())
        changed += [f"container.{field}" for field, value in container.items() if value]
    return next(iter(changed), "")
