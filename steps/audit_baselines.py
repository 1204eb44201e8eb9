"""Audit the baselines: one for each project and task name, in order, and the default branch still as good."""

from collections.abc import Iterable, Sequence

from clearml_ci.agent import step
from clearml_ci.clearml_api import audit_queries, promotion_ledger
from clearml_ci.clearml_api.audit_queries import Project
from clearml_ci.clearml_api.pipeline_runs import PIPELINES, Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import repository_url
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import BaselinesResult
from clearml_ci.decisions import audit_findings, drift
from clearml_ci.decisions.audit_findings import Tasks, Where
from clearml_ci.decisions.promotion import Move
from clearml_ci.github_api import reads
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import commit_history, main_branch
from clearml_ci.operations.main_branch import MainBranch
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters.audit import Audit

MOST_COMMITS = 50  # older commits of baselines that are looked up on GitHub, with two or three requests each


def audit_baselines(services: Services, run: Run) -> BaselinesResult:
    """The findings, how many projects and baselines were checked, and what could not be checked."""
    clearml, audit = services.clearml, audit_parameters.from_arguments(run.arguments)
    moves = promotion_ledger.moves(clearml, run.project)
    projects = _projects(clearml, audit, moves, root=run.project.split(PIPELINES)[0])
    baselines = _baselines(clearml, audit, projects)
    tagged = [task for task, _ in baselines]
    audited = {*(project.id for project in projects), *(task.project_id for task in tagged)}
    main = main_branch.read(services.github, audit)
    of_main = audit_queries.of_commits(
        clearml, main.commits, projects=sorted(audited), task_name=audit.task_name, gates=audit.gates
    )
    on_main, notes = _on_main(main, audit, tagged)
    subjects = {project.id: Where("project", project.name, project.url) for project in projects}
    findings = [
        *audit_findings.of_bests(tagged, tag=audit.best_tag, on_main=on_main),
        *audit_findings.lost(moves, tagged, tag=audit.best_tag, task_name=audit.task_name, places=subjects),
        *audit_findings.missing(subjects.values(), tagged, tag=audit.best_tag),
        *drift.from_best(baselines, of_main, audit.gates),
    ]
    return {
        "findings": audit_findings.as_documents(findings),
        "projects": len(audited),
        "bests": len(tagged),
        "notes": [*main.notes, *notes],
        "unseen": list(main.unseen),
    }


def _projects(clearml: ClearML, audit: Audit, moves: Sequence[Move], *, root: str) -> list[Project]:
    """The listed projects; without a list, those of the repository's own checks and promotions."""
    every = audit_queries.projects(clearml)
    if audit.projects:
        return audit_queries.named(every, audit.projects)
    checked, promoted = audit_queries.checked_projects(clearml, every, root=root), {move.project_id for move in moves}
    return [project for project in every if project in checked or project.id in promoted]


def _baselines(clearml: ClearML, audit: Audit, projects: Sequence[Project]) -> Tasks:
    """The tagged tasks of those projects; without a list, also those of any project that ran this repository's code."""
    ids = [project.id for project in projects]
    found = audit_queries.bests(
        clearml,
        projects=ids if audit.projects else None,
        task_name=audit.task_name,
        tag=audit.best_tag,
        gates=audit.gates,
    )
    return [(task, metrics) for task, metrics in found if task.project_id in ids or _is_own(audit, task)]


def _on_main(
    main: MainBranch, audit: Audit, tagged: Iterable[RecordedTask]
) -> tuple[dict[str, bool | None], list[str]]:
    """Whether each commit of this repository's baselines is on the default branch, and a note if some are unchecked."""
    if not main.commits:
        return {}, []
    commits = list(dict.fromkeys(task.commit for task in tagged if task.commit and _is_own(audit, task)))
    known: dict[str, bool | None] = {commit: True for commit in commits if commit in main.commits}
    older = [commit for commit in commits if commit not in known]
    checked = older[:MOST_COMMITS] if main.github else older
    note = (
        f"{len(checked)} of {len(older)} older commits of baselines were looked up on GitHub: the others may not be on "
        "the default branch"
    )
    looked_up = {commit: _is_on_main(main.github, audit, commit) for commit in checked}
    return known | looked_up, [note] if len(checked) < len(older) else []


def _is_on_main(github: GitHub | None, audit: Audit, commit: str) -> bool | None:
    """None if it is unknown. A commit that GitHub does not know was never pushed."""
    if github is None:
        return None
    on_base = commit_history.is_on_base_branch(github, audit_parameters.as_check(audit), commit)
    try:
        return False if on_base is None and not reads.has_commit(github, commit) else on_base
    except GitHubError:
        return None


def _is_own(audit: Audit, task: RecordedTask) -> bool:
    return repository_url.is_one_of(task.repository, audit.home.repositories)


if __name__ == "__main__":
    step.main(audit_baselines)
