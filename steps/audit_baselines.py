"""Audit the bests: is there one for each project and task name, is it what it should be, and is main still as good?"""

from collections.abc import Iterable, Sequence

from clearml_ci.agent import step
from clearml_ci.clearml_api import check_history, project_lookup, promotion_ledger, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.project_lookup import PIPELINES, Project
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import repository_url
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import BaselinesResult
from clearml_ci.decisions import audit_findings, drift
from clearml_ci.decisions.audit_findings import Tasks, Where
from clearml_ci.decisions.promotion import Move
from clearml_ci.github_api import git_history
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import commit_history, main_branch
from clearml_ci.operations.main_branch import Main
from clearml_ci.parameters import audit
from clearml_ci.parameters.audit import Audit

MOST_ASKED = 50  # older commits of bests that GitHub is asked about, in two or three requests each


def audit_baselines(clearml: ClearML, run: Run) -> BaselinesResult:
    """The findings, and how many `projects` and `bests` were looked at."""
    wanted = audit.from_arguments(run.arguments)
    moves = promotion_ledger.moves(clearml, run.project)
    asked = _asked(clearml, wanted, moves, root=run.project.split(PIPELINES)[0])
    bests = _bests(clearml, wanted, asked)
    tagged = [task for task, _ in bests]
    audited = {*(project.id for project in asked), *(task.project_id for task in tagged)}
    main = main_branch.ask(wanted)
    of_main = task_records.of_commits(
        clearml, main.commits, projects=sorted(audited), task_name=wanted.task_name, gates=wanted.gates
    )
    on_main, left_out = _on_main(main, wanted, tagged)
    places = {project.id: Where("project", project.name, project.url) for project in asked}
    found = [
        *audit_findings.of_bests(tagged, tag=wanted.best_tag, on_main=on_main),
        *audit_findings.lost(moves, tagged, tag=wanted.best_tag, task_name=wanted.task_name, places=places),
        *audit_findings.missing(places.values(), tagged, tag=wanted.best_tag),
        *drift.from_best(bests, of_main, wanted.gates),
    ]
    return {
        "findings": audit_findings.as_documents(found),
        "projects": len(audited),
        "bests": len(tagged),
        "notes": [*main.notes, *left_out],
        "unseen": list(main.unseen),
    }


def _asked(clearml: ClearML, wanted: Audit, moves: Sequence[Move], *, root: str) -> list[Project]:
    """The projects of the list; without one, those that the repository's own checks and promotions are about."""
    every = project_lookup.all_projects(clearml)
    if wanted.projects:
        return project_lookup.named(every, wanted.projects)
    checked, promoted = check_history.checked_projects(clearml, every, root=root), {move.project_id for move in moves}
    return [project for project in every if project in checked or project.id in promoted]


def _bests(clearml: ClearML, wanted: Audit, asked: Sequence[Project]) -> Tasks:
    """Without a list: the bests of those projects, and those of any project that ran this repository's code."""
    ids = [project.id for project in asked]
    found = task_records.tagged(
        clearml,
        projects=ids if wanted.projects else None,
        task_name=wanted.task_name,
        tag=wanted.best_tag,
        gates=wanted.gates,
    )
    return [(task, metrics) for task, metrics in found if task.project_id in ids or _is_home(wanted, task)]


def _on_main(main: Main, wanted: Audit, tagged: Iterable[RecordedTask]) -> tuple[dict[str, bool | None], list[str]]:
    """Which commits of this repository's bests are on main, and a note of those that GitHub was not asked about."""
    if not main.commits:
        return {}, []
    commits = list(dict.fromkeys(task.commit for task in tagged if task.commit and _is_home(wanted, task)))
    older = [one for one in commits if one not in main.commits]
    known = {one: True for one in commits if one in main.commits}
    asked = {one: _is_on_main(main.hub, wanted, one) for one in (older[:MOST_ASKED] if main.hub else older)}
    said = f"GitHub was asked about {len(asked)} of {len(older)} older commits of bests: the others may not be on main"
    return known | asked, [said] if len(asked) < len(older) else []


def _is_on_main(hub: GitHub | None, wanted: Audit, commit: str) -> bool | None:
    """None where nobody can tell. A commit that GitHub does not know was never pushed."""
    if hub is None:
        return None
    found = commit_history.is_on_base(hub, audit.as_check(wanted), commit)
    try:
        return False if found is None and not git_history.exists(hub, commit) else found
    except GitHubError:
        return None


def _is_home(wanted: Audit, task: RecordedTask) -> bool:
    return repository_url.is_one_of(task.repository, wanted.home.repositories)


if __name__ == "__main__":
    step.main(audit_baselines)
