"""What an audit finds in what was recorded: bests, queues, templates, main's head on an agent. Pure.

Its other halves: `leftovers` (tasks of dead runs) and `drift` (main against the best, and against itself).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from clearml_ci.core import baseline, recorded_task
from clearml_ci.core.documents import FindingDocument
from clearml_ci.core.formatting import count, duration
from clearml_ci.core.gate import Reported
from clearml_ci.core.outcome import NOT_NEEDED, Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import MainLaunchDocument
from clearml_ci.decisions import promotion
from clearml_ci.decisions.promotion import Move

FINDING, NOTE = "finding", "note"  # what turns the verdict, and what is only told


Tasks = Sequence[tuple[RecordedTask, Reported]]


Key = tuple[str, str]  # a project's id and a task's name, which share one best


@dataclass(frozen=True)
class Where:
    """What a finding is about: `kind` is project, task or queue."""

    kind: str
    name: str
    url: str


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be: `said` is what was seen, `do` what a person can do about it."""

    kind: str
    severity: str
    where: Where
    said: str
    do: str


@dataclass(frozen=True)
class Queue:
    """A queue that is watched over; `waits` is how long its oldest entry has been there, in seconds."""

    name: str
    url: str
    exists: bool
    workers: int
    entries: int
    waits: float


@dataclass(frozen=True)
class Template:
    """A draft that runs are cloned from: of which commit of ClearML CI, and how old it is in seconds."""

    commit: str
    age: float


def as_documents(findings: Iterable[Finding]) -> list[FindingDocument]:
    """Findings as results and verdicts carry them."""
    return [
        {
            "kind": one.kind,
            "severity": one.severity,
            "where": {"kind": one.where.kind, "name": one.where.name, "url": one.where.url},
            "said": one.said,
            "do": one.do,
        }
        for one in findings
    ]


def of_bests(tagged: Sequence[RecordedTask], *, tag: str, on_main: Mapping[str, bool | None]) -> list[Finding]:
    """Is there one best for each project and task name, and is it what it should be?

    `on_main`: is a commit on the main branch? None where nobody could tell; not there where nobody was asked.
    """
    return [found for group in _grouped(tagged) for found in _of_group(group, tag=tag, on_main=on_main)]


def lost(
    moves: Sequence[Move], tagged: Sequence[RecordedTask], *, tag: str, task_name: str, places: Mapping[str, Where]
) -> list[Finding]:
    """Promoted bests that do not carry the tag any more, though nothing of ours took it from them.

    `moves` is the ledger, newest first; of one project and task name the newest counts. `places` are the projects that
    are looked at, by their ids, and `task_name` is the name of the tasks, empty for any.
    """
    found: list[Finding | None] = []
    settled: set[tuple[str, str] | str] = set()  # what a newer move has decided: whole groups, and tasks
    for move in moves:
        if move.tag != tag or move.state == promotion.LOST:
            continue
        looked_at = move.project_id in places and task_name in ("", move.task_name)
        if looked_at and not settled & {(move.project_id, move.task_name), move.to}:
            found.append(_lost(move, tagged, places[move.project_id]))
        settled |= {(move.project_id, move.task_name), *move.previous}
    return [one for one in found if one]


def missing(asked: Iterable[Where], tagged: Iterable[RecordedTask], *, tag: str) -> list[Finding]:
    """Projects that somebody asked about and that have no best."""
    known = {task.project for task in tagged}
    said = f"no task carries the tag '{tag}'"
    do = "give the tag to the task of the model that others have to match"
    return [Finding("no_best", NOTE, where, said, do) for where in asked if where.name not in known]


def of_queues(queues: Iterable[Queue], *, longest_wait: float) -> list[Finding]:
    """Queues that nobody serves, or serves too slowly."""
    return [found for queue in queues if (found := _of_queue(queue, longest_wait))]


def _of_queue(queue: Queue, longest_wait: float) -> Finding | None:
    where = Where("queue", queue.name, queue.url)
    start = f"start one: clearml-agent daemon --detached --queue '{queue.name}'"
    if not queue.exists:
        return Finding("no_queue", FINDING, where, "there is no such queue", f"{start} --create-queue")
    waiting = f"{queue.entries} waiting, the oldest for {duration(queue.waits)}" if queue.entries else "nothing waits"
    if not queue.workers:
        return Finding("no_workers", FINDING, where, f"no worker listens to it; {waiting}", start)
    if queue.waits > longest_wait:
        return Finding("long_wait", FINDING, where, waiting, "start more agents, or take off what nobody waits for")
    return None


def of_templates(where: Where, templates: Sequence[Template], *, commit: str) -> list[Finding]:
    """Drafts that are older than all of the running version, the one at `commit`: nobody starts them any more.

    A newer one is another job's: a schedule of ClearML's keeps the version that it was given.
    """
    own = max((template.age for template in templates if template.commit == commit), default=float("inf"))
    old = [template for template in templates if template.age > own and template.commit != commit]
    if not old:
        return []
    age = duration(max(template.age for template in old))
    said = f"{len(old)} {'draft' if len(old) == 1 else 'drafts'} of old versions of ClearML CI, the oldest of {age} ago"
    return [Finding("old_templates", NOTE, where, said, "archive them, unless an older workflow still starts them")]


def of_probe(result: MainLaunchDocument, home: Where) -> list[Finding]:
    """Does main's head still run on an agent? `result` is that of the step audit_probe."""
    if result["outcome"] in (Outcome.PASSED, NOT_NEEDED):
        return []
    task = result["task"]
    where = Where("task", task["name"], task["url"]) if task else home
    phase = f" (phase: {result['phase']})" if result["phase"] else ""
    said = f"main's head {result['commit'][:10]} was not run on an agent{phase}: {result['reason']}"
    return [Finding("does_not_run", FINDING, where, said, "repair main, the agent or its queue, and audit again")]


def summarize(findings: Collection[FindingDocument], *, unseen: Iterable[str] = ()) -> tuple[Outcome, str]:
    """The outcome of an audit and a sentence, from its findings' documents and what it could not look at."""
    real = [one for one in findings if one["severity"] == FINDING]
    notes = f"; {count(len(findings) - len(real), 'note')}" if len(findings) > len(real) else ""
    dark = "; ".join(dict.fromkeys(unseen))
    if real:
        kinds = ", ".join(dict.fromkeys(one["kind"].replace("_", " ") for one in real))
        return Outcome.REGRESSED, f"{count(len(real), 'finding')}: {kinds}{notes}{f'; {dark}' if dark else ''}"
    if dark:
        return Outcome.INCONCLUSIVE, f"nothing was found, but {dark}{notes}"
    return Outcome.PASSED, f"nothing was found{notes}"


def _grouped(tagged: Iterable[RecordedTask]) -> Iterable[list[RecordedTask]]:
    groups: dict[Key, list[RecordedTask]] = defaultdict(list)
    for task in tagged:
        groups[key_of(task)].append(task)
    return groups.values()


def _of_group(group: Sequence[RecordedTask], *, tag: str, on_main: Mapping[str, bool | None]) -> list[Finding]:
    usable = [task for task in group if baseline.usable(task)]
    found = [_several(usable, tag)] if len(usable) > 1 else []
    for task in group:
        if not baseline.usable(task):
            found.append(_unusable(task, tag))
            continue
        if not task.commit:
            found.append(_of_task("no_commit", task, "names no commit: nobody can run it again", _AGAIN))
        if recorded_task.uncommitted(task):
            found.append(_of_task("uncommitted", task, "has uncommitted changes: nobody can run it again", _AGAIN))
        found += _of_commit(task, on_main)
    return found


def _of_commit(task: RecordedTask, on_main: Mapping[str, bool | None]) -> list[Finding]:
    where = f"its commit {task.commit[:10]}"
    if on_main.get(task.commit, True):
        return []
    if on_main[task.commit] is None:
        said = f"nobody could tell whether {where} is on the main branch"
        return [_of_task("unknown_commit", task, said, "give the steps' agent a GITHUB_TOKEN", severity=NOTE)]
    do = "merge what it ran, or give the tag to a task that main ran"
    return [_of_task("off_main", task, f"{where} is not on the main branch", do)]


_AGAIN = "train from the clean commit, and give the tag to that task"


def _several(usable: Sequence[RecordedTask], tag: str) -> Finding:
    ids = ", ".join(task.id for task in usable[:5]) + (" …" if len(usable) > 5 else "")
    said = f"{len(usable)} tasks named '{usable[0].name}' in '{usable[0].project}' carry the tag '{tag}': {ids}"
    return _of_task("several_bests", usable[0], said, "leave the tag on the best of them alone")


def _unusable(task: RecordedTask, tag: str) -> Finding:
    """A task that is still to run, or a clone that copied the tag, is no best and does no harm."""
    why = recorded_task.unfinished(task)
    said = f"carries the tag '{tag}', but {why}"
    if task.archived:
        return _of_task("archived_best", task, said, "restore it, or give the tag to another task")
    if task.status in recorded_task.RUNNING:
        return _of_task("copied_tag", task, said, "take the tag off it: clones copy tags", severity=NOTE)
    return _of_task("unsuccessful_best", task, said, "give the tag to a task that ended well")


def _lost(move: Move, tagged: Sequence[RecordedTask], where: Where) -> Finding | None:
    """A move that was interrupted may have left the tag where it was."""
    begun = move.state == promotion.MOVING
    if {move.to, *(move.previous if begun else ())} & {task.id for task in tagged}:
        return None
    others = [task for task in tagged if task.project_id == move.project_id and move.task_name in ("", task.name)]
    instead = next((task for task in others if baseline.usable(task)), None)
    gave = f"the {move.action} of pull request #{move.pull_request} gave the tag '{move.tag}' to the task {move.to}"
    if instead and not begun:
        said = f"{gave}, and somebody moved it to this one by hand"
        return _of_task("moved_by_hand", instead, said, "nothing, if that was meant", severity=NOTE)
    if instead:
        return None
    do = "give the tag to the task of the model that others have to match, or run `ci_trigger.py rollback`"
    return Finding("lost_best", FINDING, where, f"{gave}, which is gone or does not carry it any more", do)


def _of_task(kind: str, task: RecordedTask, said: str, do: str, *, severity: str = FINDING) -> Finding:
    return Finding(kind, severity, place(task), said, do)


def place(task: RecordedTask) -> Where:
    """Where a finding about a task is."""
    return Where("task", f"{task.project}/{task.name}", task.url)


def key_of(task: RecordedTask) -> Key:
    """What shares one best with this task."""
    return task.project_id, task.name
