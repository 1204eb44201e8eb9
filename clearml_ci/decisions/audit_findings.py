"""Findings of an audit in what ClearML recorded: baselines, queues, templates, the default branch's head on an agent.

The other findings are those of `leftovers` (tasks of ended runs) and `drift` (the default branch got worse).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from clearml_ci.core import agent_command, baseline, recorded_task
from clearml_ci.core.documents import FindingDocument
from clearml_ci.core.formatting import count, duration
from clearml_ci.core.gate import Reported
from clearml_ci.core.outcome import NOT_NEEDED, Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import MainLaunchDocument
from clearml_ci.decisions import promotion
from clearml_ci.decisions.promotion import Move

FINDING, NOTE = "finding", "note"  # a finding turns the verdict, a note does not


Tasks = Sequence[tuple[RecordedTask, Reported]]


Key = tuple[str, str]  # a project's id and a task's name: all tasks of one key share one baseline


# Kinds are read by programs and keep their names; those that are not plain words are shown as these.
_KINDS = {
    "no_best": "no baseline",
    "several_bests": "several baselines",
    "archived_best": "archived baseline",
    "unsuccessful_best": "unsuccessful baseline",
    "lost_best": "lost baseline",
    "archived_reference": "archived run of the reference",
    "unusable_reference": "unusable run of the reference",
    "changed_reference": "changed run of the reference",
    "lost_reference": "lost run of the reference",
    "deleted_reference": "deleted run of the reference",
    "unfinished_reference": "unfinished change of the reference",
    "off_main": "off the default branch",
    "no_run": "no run of the default branch",
    "drift_up": "drift for the better",
    "drift_merge": "merge of the drift",
}


_TRAIN_AGAIN = "train from the clean commit, and give the tag to that task"


@dataclass(frozen=True)
class Subject:
    """The project, task or queue that a finding is about: `kind` names which."""

    kind: str
    name: str
    url: str


@dataclass(frozen=True)
class Finding:
    """One finding or note; `remedy` is what a user can do about it."""

    kind: str
    severity: str
    subject: Subject
    message: str
    remedy: str


@dataclass(frozen=True)
class Queue:
    """A queue that the audit checks; `waits` is how long its oldest entry has been there, in seconds."""

    name: str
    url: str
    exists: bool
    workers: int
    entries: int
    waits: float


@dataclass(frozen=True)
class Template:
    """A draft that runs are cloned from: the commit of ClearML CI that it is of, and its age in seconds."""

    commit: str
    age: float


def as_documents(findings: Iterable[Finding]) -> list[FindingDocument]:
    """Findings as results and verdicts carry them."""
    return [
        {
            "kind": finding.kind,
            "severity": finding.severity,
            "where": {"kind": finding.subject.kind, "name": finding.subject.name, "url": finding.subject.url},
            "said": finding.message,
            "do": finding.remedy,
        }
        for finding in findings
    ]


def check_baselines(
    tagged: Sequence[RecordedTask], *, tag: str, on_default: Mapping[str, bool | None]
) -> list[Finding]:
    """Findings about tagged tasks: each project and task name should have one baseline, clean and merged.

    `on_default`: is a commit on the default branch? None: unknown; commits that were not looked up are missing.
    """
    return [finding for group in _grouped(tagged) for finding in _check_group(group, tag=tag, on_default=on_default)]


def lost_baselines(
    moves: Sequence[Move], tagged: Sequence[RecordedTask], *, tag: str, task_name: str, projects: Mapping[str, Subject]
) -> list[Finding]:
    """Promoted baselines that lost the tag other than by a later promotion or rollback.

    `moves` is the ledger, newest first; the newest move of each project and task name counts. `projects` are those that
    are audited, by their ids; `task_name` is the name of the audited tasks, empty for any.
    """
    found: list[Finding | None] = []
    settled: set[Key | str] = set()  # keys and tasks that a newer move has decided about
    for move in moves:
        if move.tag != tag or move.state == promotion.LOST:
            continue
        audited = move.project_id in projects and task_name in ("", move.task_name)
        if audited and not settled & {(move.project_id, move.task_name), move.to}:
            found.append(_lost(move, tagged, projects[move.project_id]))
        settled |= {(move.project_id, move.task_name), *move.previous}
    return [finding for finding in found if finding]


def missing_baselines(projects: Iterable[Subject], tagged: Iterable[RecordedTask], *, tag: str) -> list[Finding]:
    """Notes about those audited projects that have no baseline."""
    known = {task.project for task in tagged}
    message = f"no task carries the tag '{tag}'"
    remedy = "give the tag to the task of the model that pull requests have to match"
    return [Finding("no_best", NOTE, project, message, remedy) for project in projects if project.name not in known]


def check_queues(queues: Iterable[Queue], *, longest_wait: float) -> list[Finding]:
    """Queues that do not exist, that no worker serves, or whose entries wait too long."""
    return [finding for queue in queues if (finding := _check_queue(queue, longest_wait))]


def _check_queue(queue: Queue, longest_wait: float) -> Finding | None:
    subject = Subject("queue", queue.name, queue.url)
    start = f"start an agent: {agent_command.start(queue.name)}"
    if not queue.exists:
        return Finding("no_queue", FINDING, subject, "the queue does not exist", f"{start} --create-queue")
    waiting = f"{queue.entries} waiting, the oldest for {duration(queue.waits)}" if queue.entries else "it is empty"
    if not queue.workers:
        return Finding("no_workers", FINDING, subject, f"no worker serves the queue; {waiting}", start)
    if queue.waits > longest_wait:
        return Finding("long_wait", FINDING, subject, waiting, "start more agents, or remove tasks that are not needed")
    return None


def check_templates(project: Subject, templates: Sequence[Template], *, commit: str) -> list[Finding]:
    """A note about drafts that are older than all drafts of the running version, which is the one at `commit`.

    A newer draft belongs to another job: a schedule in ClearML keeps the version that it was registered with.
    """
    own = max((template.age for template in templates if template.commit == commit), default=float("inf"))
    old = [template for template in templates if template.age > own and template.commit != commit]
    if not old:
        return []
    age = duration(max(template.age for template in old))
    message = f"{count(len(old), 'draft')} of old versions of ClearML CI, the oldest of {age} ago"
    remedy = "archive them, unless an older workflow still starts them"
    return [Finding("old_templates", NOTE, project, message, remedy)]


def check_probe(result: MainLaunchDocument, repository: Subject) -> list[Finding]:
    """The finding that the default branch's head did not run on an agent, if so."""
    if result["outcome"] in (Outcome.PASSED, NOT_NEEDED):
        return []
    task = result["task"]
    subject = Subject("task", task["name"], task["url"]) if task else repository
    phase = f" (phase: {result['phase']})" if result["phase"] else ""
    message = f"the default branch's head {result['commit'][:10]} did not run on an agent{phase}: {result['reason']}"
    remedy = "repair the default branch, the agent or its queue, and run the audit again"
    return [Finding("does_not_run", FINDING, subject, message, remedy)]


def summarize(findings: Collection[FindingDocument], *, unseen: Iterable[str] = ()) -> tuple[Outcome, str]:
    """The outcome of an audit and its reason; `unseen` is what the audit could not look at."""
    real = [finding for finding in findings if finding["severity"] == FINDING]
    notes = f"; {count(len(findings) - len(real), 'note')}" if len(findings) > len(real) else ""
    gaps = "; ".join(dict.fromkeys(unseen))
    if real:
        kinds = ", ".join(dict.fromkeys(kind_in_words(finding["kind"]) for finding in real))
        return Outcome.REGRESSED, f"{count(len(real), 'finding')}: {kinds}{notes}{f'; {gaps}' if gaps else ''}"
    if gaps:
        return Outcome.INCONCLUSIVE, f"no findings, but {gaps}{notes}"
    return Outcome.PASSED, f"no findings{notes}"


def kind_in_words(kind: str) -> str:
    """The kind of a finding as a reader sees it."""
    return _KINDS.get(kind, kind.replace("_", " "))


def subject_of(task: RecordedTask) -> Subject:
    """The task as the subject of a finding."""
    return Subject("task", f"{task.project}/{task.name}", task.url)


def key_of(task: RecordedTask) -> Key:
    """The key that the task shares with all tasks of its baseline."""
    return task.project_id, task.name


def _grouped(tagged: Iterable[RecordedTask]) -> Iterable[list[RecordedTask]]:
    groups: dict[Key, list[RecordedTask]] = defaultdict(list)
    for task in tagged:
        groups[key_of(task)].append(task)
    return groups.values()


def _check_group(
    group: Sequence[RecordedTask], *, tag: str, on_default: Mapping[str, bool | None]
) -> Iterable[Finding]:
    usable = [task for task in group if baseline.usable(task)]
    if len(usable) > 1:
        yield _several(usable, tag)
    for task in group:
        if not baseline.usable(task):
            yield _unusable(task, tag)
            continue
        if not task.commit:
            yield _of_task("no_commit", task, "has no recorded commit: its run cannot be repeated", _TRAIN_AGAIN)
        if recorded_task.has_uncommitted_changes(task):
            message = "has uncommitted changes: its run cannot be repeated"
            yield _of_task("uncommitted", task, message, _TRAIN_AGAIN)
        yield from _check_commit(task, on_default)


def _check_commit(task: RecordedTask, on_default: Mapping[str, bool | None]) -> Iterable[Finding]:
    commit, merged = f"its commit {task.commit[:10]}", on_default.get(task.commit, True)
    if merged is None:
        message, remedy = "may not be on the default branch", "give the agent that runs the steps a GITHUB_TOKEN"
        yield _of_task("unknown_commit", task, f"{commit} {message}: GitHub could not be asked", remedy, severity=NOTE)
    elif not merged:
        remedy = "merge its commit, or give the tag to a task of the default branch"
        yield _of_task("off_main", task, f"{commit} is not on the default branch", remedy)


def _several(usable: Sequence[RecordedTask], tag: str) -> Finding:
    ids = ", ".join(task.id for task in usable[:5]) + (" …" if len(usable) > 5 else "")
    message = f"{len(usable)} tasks named '{usable[0].name}' in '{usable[0].project}' carry the tag '{tag}': {ids}"
    return _of_task("several_bests", usable[0], message, "keep the tag on the best of them alone")


def _unusable(task: RecordedTask, tag: str) -> Finding:
    """The finding about a tagged task whose metrics do not count; a clone's copy of the tag is only a note."""
    if task.copied_from:
        message = baseline.why_copied(task, tag=tag)
        return _of_task("copied_tag", task, message, baseline.UNCOPY, severity=NOTE)
    message = f"carries the tag '{tag}', but {recorded_task.why_unfinished(task)}"
    if task.archived:
        return _of_task("archived_best", task, message, "restore it, or give the tag to another task")
    if task.status in recorded_task.RUNNING:
        return _of_task(
            "copied_tag", task, message, "remove the tag: clones copy the tags of their source", severity=NOTE
        )
    return _of_task("unsuccessful_best", task, message, "give the tag to a task that ended well")


def _lost(move: Move, tagged: Sequence[RecordedTask], project: Subject) -> Finding | None:
    """The finding that the tag of this move is gone; an interrupted move may have left it on the previous task."""
    interrupted = move.state == promotion.STARTED
    if {move.to, *(move.previous if interrupted else ())} & {task.id for task in tagged}:
        return None
    others = [task for task in tagged if task.project_id == move.project_id and move.task_name in ("", task.name)]
    other = next((task for task in others if baseline.usable(task)), None)
    gave = f"the {move.action} of pull request #{move.pull_request} gave the tag '{move.tag}' to the task {move.to}"
    if other and not interrupted:
        message = f"{gave}, and a user moved it to this task"
        return _of_task("moved_by_hand", other, message, "nothing, if this was intended", severity=NOTE)
    if other:
        return None
    remedy = "give the tag to the task of the model that pull requests have to match, or run `ci_trigger.py rollback`"
    return Finding("lost_best", FINDING, project, f"{gave}, which was deleted or lost the tag", remedy)


def _of_task(kind: str, task: RecordedTask, message: str, remedy: str, *, severity: str = FINDING) -> Finding:
    return Finding(kind, severity, subject_of(task), message, remedy)
