"""Audit the bests: is there one for each project and task name, is it what it should be, and is main still as good?"""

from collections.abc import Iterable, Sequence
from typing import Any

from clearml_ci import (
    audit,
    audit_findings,
    clearml_audit,
    clearml_baseline,
    drift,
    github_reads,
    lineage,
    repository,
    step,
)
from clearml_ci.audit import Audit
from clearml_ci.audit_findings import Tasks, Where
from clearml_ci.clearml_audit import Project
from clearml_ci.clearml_gateway import ClearML
from clearml_ci.clearml_runs import PIPELINES, Run
from clearml_ci.evidence import RecordedTask
from clearml_ci.github_gateway import GitHub, GitHubError
from clearml_ci.promotion import Move


def audit_baselines(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"findings", "projects": how many, "bests": how many, "notes"}`."""
    wanted = audit.from_arguments(run.arguments)
    moves = clearml_baseline.moves(clearml, run.project)
    asked = _asked(clearml, wanted, moves, root=run.project.split(PIPELINES)[0])
    bests = _bests(clearml, wanted, asked)
    tagged = [task for task, _ in bests]
    audited = {*(project.id for project in asked), *(task.project_id for task in tagged)}
    hub, notes = step.github_if_any(audit.as_check(wanted)), []
    recent = list(wanted.home.recent)
    try:
        recent = github_reads.recent_commits(hub, wanted.home.base) if hub else recent
    except GitHubError as error:
        notes.append(str(error))
    if not recent:
        notes.append("GitHub could not be asked for main's commits: nothing is said about what is on main, or drifts")
    main = clearml_audit.of_commits(
        clearml, recent, projects=sorted(audited), task_name=wanted.task_name, gates=wanted.gates
    )
    places = {project.id: Where("project", project.name, project.url) for project in asked}
    found = [
        *audit_findings.of_bests(tagged, tag=wanted.best_tag, on_main=_on_main(hub, wanted, tagged, recent)),
        *audit_findings.lost(moves, tagged, tag=wanted.best_tag, task_name=wanted.task_name, places=places),
        *audit_findings.missing(places.values(), tagged, tag=wanted.best_tag),
        *drift.from_best(bests, main, wanted.gates),
    ]
    return {
        "findings": audit_findings.as_documents(found),
        "projects": len(audited),
        "bests": len(tagged),
        "notes": notes,
    }


def _asked(clearml: ClearML, wanted: Audit, moves: Sequence[Move], *, root: str) -> list[Project]:
    """The projects of the list; without one, those that the repository's own checks and promotions are about."""
    every = clearml_audit.projects(clearml)
    if wanted.projects:
        return clearml_audit.named(every, wanted.projects)
    checked, promoted = clearml_audit.checked_projects(clearml, every, root=root), {move.project_id for move in moves}
    return [project for project in every if project in checked or project.id in promoted]


def _bests(clearml: ClearML, wanted: Audit, asked: Sequence[Project]) -> Tasks:
    """Without a list: the bests of those projects, and those of any project that ran this repository's code."""
    ids = [project.id for project in asked]
    found = clearml_audit.bests(
        clearml,
        projects=ids if wanted.projects else None,
        task_name=wanted.task_name,
        tag=wanted.best_tag,
        gates=wanted.gates,
    )
    return [(task, metrics) for task, metrics in found if task.project_id in ids or _is_home(wanted, task)]


def _on_main(
    hub: GitHub | None, wanted: Audit, tagged: Iterable[RecordedTask], recent: Sequence[str]
) -> dict[str, bool | None]:
    """What GitHub knows of the commits of this repository's bests: a request only for those that are not recent."""
    commits = {task.commit for task in tagged if task.commit and _is_home(wanted, task)}
    asked = audit.as_check(wanted)
    return {one: one in recent or (lineage.is_on_base(hub, asked, one) if hub else None) for one in sorted(commits)}


def _is_home(wanted: Audit, task: RecordedTask) -> bool:
    return repository.is_one_of(task.repository, wanted.home.repositories)


if __name__ == "__main__":
    step.main(audit_baselines)
