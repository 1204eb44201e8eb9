"""Findings of an audit in the reference: runs that do not count any more, and tags that a user changed."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from clearml_ci.core import baseline, recorded_task
from clearml_ci.core.formatting import listed
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import reference, reference_tags
from clearml_ci.decisions.audit_findings import FINDING, NOTE, Finding, Key, Subject, subject_of
from clearml_ci.decisions.reference_tags import Change

Changes = Sequence[Change]  # of one reference, newest first
Tagged = Mapping[str, Sequence[RecordedTask]]  # by tag
WithTags = Mapping[str, tuple[RecordedTask, Sequence[str]]]  # by id


_SHOWN = 5  # ids of deleted runs


def of_audit(changes: Iterable[Change], *, best: str, name: str, projects: Mapping[str, Subject]) -> list[Changes]:
    """The changes of each audited reference, newest first; `name` is that of the audited tasks, empty for any.

    A reference that a newer one shares a task with is the same: its tasks moved to another project.
    """
    by_key: dict[Key, list[Change]] = defaultdict(list)
    for change in changes:
        if change.best == best and name in ("", change.name):
            by_key[change.project, change.name].append(change)
    found: list[Changes] = []
    seen: set[str] = set()
    for own in by_key.values():
        ids = {task for change in own for task in (*change.before.ids, *change.after.ids)}
        if own[0].project in projects and not ids & seen:
            found.append(own)
        seen |= ids
    return found


def missing(references: Iterable[Changes], tagged: Tagged) -> list[str]:
    """The ids of the tasks that should carry the tag of a reference, and were not found with it."""
    return [task for changes in references for task, _ in _missing(changes, tagged)]


def check(
    references: Sequence[Changes], tagged: Tagged, missing: WithTags, *, best: str, projects: Mapping[str, Subject]
) -> list[Finding]:
    """The findings; `missing` are those of the tasks that `missing` names which exist, with their tags."""
    names = reference_tags.names(best)
    added = {task for changes in references for change in changes if change.made for task in change.added}
    recorded = {task for changes in references for task in reference_tags.expected(changes).ids}
    models = {(changes[0].project, changes[0].name) for changes in references}
    found = [
        finding
        for task in _in_force(tagged, best)
        for finding in [
            _check(task, names.runs if task in tagged[names.runs] else names.earlier, added=added, recorded=recorded)
        ]
        if finding
    ]
    found += [
        _by_hand(task, names.runs)
        for task in tagged[names.runs]
        if (task.project_id, task.name) in models and task.id not in recorded and not task.stamp and _counts(task)
    ]
    for changes in references:
        found += _lost(changes, tagged, missing, projects[changes[0].project], added=added)
    return found


def _in_force(tagged: Tagged, best: str) -> Iterator[RecordedTask]:
    """The tagged runs that candidates are compared with: the earlier ones as well until there are enough."""
    names = reference_tags.names(best)
    yield from tagged[names.runs]
    for task in tagged[names.earlier]:
        own = [run for run in tagged[names.runs] if _key(run) == _key(task) and _counts(run)]
        if len(own) < reference.ENOUGH and task.id not in {run.id for run in own}:
            yield task


def _check(task: RecordedTask, tag: str, *, added: set[str], recorded: set[str]) -> Finding | None:
    """The finding that a tagged run does not count, or may not have the values that it was taken for.

    A user who removes the tag settles it: see `_lost`.
    """
    carries, untag = f"carries the tag '{tag}', but", f"remove the tag '{tag}' from it: the next merge takes its place"
    if task.copied_from:
        return _of("copied_tag", task, baseline.why_copied(task, tag=tag), "remove the tag from it", NOTE)
    if task.archived:
        return _of("archived_reference", task, f"{carries} is archived: it does not count", f"restore it, or {untag}")
    if task.status in recorded_task.RUNNING and task.id not in recorded:
        message = f"{carries} {recorded_task.why_unfinished(task)}"
        return _of("copied_tag", task, message, "remove the tag: clones copy the tags of their source", NOTE)
    if why := recorded_task.why_unusable(task):
        return _of("unusable_reference", task, f"{carries} {why}: it does not count", untag)
    if _ran_again(task, added):
        return _of("changed_reference", task, reference_tags.RAN_AGAIN, untag)
    return None


def _lost(
    changes: Changes, tagged: Tagged, missing: WithTags, project: Subject, *, added: set[str]
) -> Iterator[Finding]:
    """The findings that recorded runs were deleted, or lost their tag other than by a run, although they count."""
    newest, runs = changes[0], reference_tags.names(changes[0].best).runs
    if not newest.is_settled:
        message = f"the run {newest.run} began to change the reference of '{newest.name}', and did not finish"
        remedy = f"nothing while it runs; else give the tag '{runs}' to the runs that candidates are compared with"
        yield Finding("unfinished_reference", NOTE, project, message, remedy)
        return
    absent = _missing(changes, tagged)
    for id_, tag in absent:
        task, tags = missing.get(id_, (None, ()))
        if task and tag not in tags and _counts(task) and not _ran_again(task, added):
            remedy = "give the tag back; if this was intended, the next merge takes its place"
            message = f"is in the reference, and a user removed the tag '{tag}'"
            yield _of("lost_reference", task, message, remedy)
    if deleted := [id_ for id_, _ in absent if id_ not in missing]:
        ids = listed(deleted, most=_SHOWN, separator=", ")
        message = f"deleted from the reference of '{newest.name}': {ids}"
        remedy = f"nothing, if you merge: new runs take their places; or give the tag '{runs}' to others of that branch"
        yield Finding("deleted_reference", FINDING, project, message, remedy)


def _missing(changes: Changes, tagged: Tagged) -> list[tuple[str, str]]:
    """The recorded tasks in force that were not found with their tag, and the tag."""
    if not changes[0].is_settled:
        return []
    names, expected = reference_tags.names(changes[0].best), reference_tags.expected(changes)
    in_force = [(task, names.runs) for task in expected.runs]
    if len(expected.runs) < reference.ENOUGH:
        in_force += [(task, names.earlier) for task in expected.earlier]
    return [(task, tag) for task, tag in in_force if task not in {carrier.id for carrier in tagged[tag]}]


def _by_hand(task: RecordedTask, tag: str) -> Finding:
    message = f"a user gave it the tag '{tag}'"
    return _of("tagged_by_hand", task, message, "nothing, if this was intended", NOTE)


def _ran_again(task: RecordedTask, added: set[str]) -> bool:
    """True if a run ended after it was stamped, or lost the stamp, as by a reset; `added` are those that had one."""
    return reference_tags.ran_again(task) or (task.id in added and not task.stamp)


def _counts(task: RecordedTask) -> bool:
    return recorded_task.is_clean_run(task) and not task.copied_from


def _key(task: RecordedTask) -> Key:
    return task.project_id, task.name


def _of(kind: str, task: RecordedTask, message: str, remedy: str, severity: str = FINDING) -> Finding:
    return Finding(kind, severity, subject_of(task), message, remedy)
