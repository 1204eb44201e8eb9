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
from clearml_ci.audit_findings import Finding, Tasks, Where
from clearml_ci.clearml_audit import Project
from clearml_ci.clearml_gateway import ClearML
from clearml_ci.clearml_runs import PIPELINES, Run
from clearml_ci.evidence import RecordedTask
from clearml_ci.github_gateway import GitHub, GitHubError


def audit_baselines(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"findings", "projects": how many, "bests": how many, "notes"}`."""
    wanted = audit.from_arguments(run.arguments)
    every = clearml_audit.projects(clearml)
    asked = _asked(clearml, wanted, every, root=run.project.split(PIPELINES)[0])
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
    found = [
        *audit_findings.of_bests(tagged, tag=wanted.best_tag, on_main=_on_main(hub, wanted, tagged, recent)),
        *_lost(clearml, run, wanted, tagged, asked if wanted.projects else every),
        *audit_findings.missing(_places(asked).values(), tagged, tag=wanted.best_tag),
        *drift.from_best(bests, main, wanted.gates),
    ]
    return {
        "findings": audit_findings.as_documents(found),
        "projects": len(audited),
        "bests": len(tagged),
        "notes": notes,
    }


def _asked(clearml: ClearML, wanted: Audit, every: Sequence[Project], *, root: str) -> list[Project]:
    """The projects of the list; without one, those that the repository's own checks are asked about."""
    if wanted.projects:
        return clearml_audit.named(every, wanted.projects)
    return clearml_audit.checked_projects(clearml, every, root=root)


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


def _lost(
    clearml: ClearML, run: Run, wanted: Audit, tagged: Sequence[RecordedTask], looked_at: Sequence[Project]
) -> list[Finding]:
    """What the ledger of this repository's promotions has as the best and is not; a project may be gone as well."""
    moves = clearml_baseline.moves(clearml, run.project)
    gone = {} if wanted.projects else {one.project_id: Where("project", one.project_id, "") for one in moves}
    return audit_findings.lost(
        moves, tagged, tag=wanted.best_tag, task_name=wanted.task_name, places=gone | _places(looked_at)
    )


def _places(projects: Sequence[Project]) -> dict[str, Where]:
    return {project.id: Where("project", project.name, project.url) for project in projects}


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
