"""Is main as good as it was? Its head is trained again, some times, and held against its own earlier runs."""

from collections.abc import Sequence

from clearml_ci.agent import step
from clearml_ci.clearml_api import task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import console
from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import RetrainResult
from clearml_ci.decisions import audit_findings, drift
from clearml_ci.decisions.audit_findings import Finding, Where
from clearml_ci.operations import github_access, main_branch
from clearml_ci.operations.main_branch import Main
from clearml_ci.parameters import audit, remote_run
from clearml_ci.parameters.audit import Audit

TRAINING = {"run_until": remote_run.COMPLETION, "candidate": "train"}


def audit_retrain(clearml: ClearML, run: Run) -> RetrainResult:
    """The trainings of main's head, and the findings that came of them.

    Trainings stay: they are runs of main like any other.
    """
    wanted, asked = audit.from_arguments(run.arguments), remote_run.from_arguments({**run.arguments, **TRAINING})
    if asked is None or not wanted.gates:
        raise UsageError("retrain is asked for, but gates is empty: give the metrics in which main is to be as good")
    remote_run.refuse_shared_queue(run.arguments, code=asked.queue)
    hub = github_access.github_if_any(audit.as_check(wanted))
    commit = main_branch.head(hub, wanted)
    tasks: list[TaskDocument] = []
    for _ in range(wanted.retrain):
        result = main_branch.launch(clearml, run, wanted, asked, hub=hub, commit=commit, tell=console.say)
        if result["outcome"] != Outcome.PASSED or result["task"] is None:
            return _told(tasks, audit_findings.of_probe(result, Where("project", wanted.home.repository, "")))
        tasks.append(result["task"])
    main = main_branch.ask(wanted)  # signed in anew: an App's token lives an hour
    return _told(tasks, _judged(clearml, wanted, [commit, *main.commits], tasks), main)


def _judged(clearml: ClearML, wanted: Audit, commits: Sequence[str], tasks: list[TaskDocument]) -> list[Finding]:
    """`tasks` are the trainings, all of one project and name. Main's head alone is enough to have earlier runs."""
    found = task_records.with_metrics(clearml, [task["id"] for task in tasks], wanted.gates)
    earlier = task_records.of_commits(
        clearml,
        commits,
        projects=[tasks[0]["project_id"]],
        task_name=tasks[0]["name"],
        gates=wanted.gates,
    )
    return drift.retrained(list(found.values()), earlier, wanted.gates)


def _told(tasks: list[TaskDocument], findings: list[Finding], main: Main | None = None) -> RetrainResult:
    notes, unseen = (list(main.notes), list(main.unseen)) if main else ([], [])
    return {"tasks": tasks, "findings": audit_findings.as_documents(findings), "notes": notes, "unseen": unseen}


if __name__ == "__main__":
    step.main(audit_retrain)
