"""The trainings of a calibration: launched without a run of a pipeline, and found again by their key.

The key stands for a run in the mark of ownership. It is made of the commit and of what is launched, so that every user
finds what an interrupted calibration has left.
"""

import hashlib
from dataclasses import dataclass

from clearml_ci.clearml_api import launch_draft, project_lookup, seeded_draft, task_fields, task_queue, task_records
from clearml_ci.clearml_api.launch_draft import Code
from clearml_ci.clearml_api.ownership import RUN_MARK
from clearml_ci.clearml_api.seeded_draft import SEED_MARK, Seeding
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.parameters.remote_run import RemoteRun


@dataclass(frozen=True)
class Seeded:
    """The trainings of a commit that differ by their seeds alone, which `seeding` puts in."""

    launch: RemoteRun
    code: Code
    seeding: Seeding

    @property
    def key(self) -> str:
        """The mark of these trainings."""
        launch = self.launch
        what = (launch.entry, launch.folder, launch.args, launch.requirements, launch.packages)
        where = (launch.project, launch.name, launch.docker_image, launch.docker_args)
        parts = ("calibration", self.code.repository, self.code.commit, self.seeding.parameter, *what, *where)
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]


def create(clearml: ClearML, seeded: Seeded, seed: str) -> str:
    """The id of a draft for this seed. Raises ClearMLError."""
    marks = {SEED_MARK: seed}
    return launch_draft.create(clearml, seeded.launch, seeded.code, run=seeded.key, parent="", marks=marks)


def enqueue(clearml: ClearML, seeded: Seeded, task: str, seed: str, *, queue: str) -> None:
    """Give a draft its seed, also if it is left from an interrupted launch, and enqueue it on the queue of this id."""
    seeded_draft.put_in(clearml, task, seeded.seeding, seed)
    task_queue.enqueue(clearml, task, queue=queue)


def launched(clearml: ClearML, seeded: Seeded) -> list[tuple[str, RecordedTask]]:
    """The tasks that calibrations of this commit have launched, in any status, each with its seed, newest first.

    Drafts that an interrupted launch has left incomplete are deleted.
    """
    launch_draft.delete_incomplete(clearml, seeded.key)
    project = project_lookup.id_of(clearml, seeded.launch.project)
    if project is None:
        return []
    found = task_records.of_commit(clearml, commit=seeded.code.commit, project=project, task_name=seeded.launch.name)
    tasks = {task.id: task for task in found if task.purpose == seeded.launch.purpose}
    marks = task_fields.read_existing(clearml, list(tasks), [f"runtime.{RUN_MARK}", f"runtime.{SEED_MARK}"])
    runtimes = {id_: task.get("runtime") or {} for id_, task in marks.items()}
    return [
        (str(runtimes[id_].get(SEED_MARK) or ""), task)
        for id_, task in tasks.items()
        if id_ in runtimes and runtimes[id_].get(RUN_MARK) == seeded.key
    ]
