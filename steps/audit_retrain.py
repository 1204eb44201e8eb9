"""Train the default branch's head again, as often as asked, and compare the results with its own earlier runs."""

from collections.abc import Sequence

from clearml_ci.agent import step
from clearml_ci.clearml_api import task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import RetrainResult
from clearml_ci.decisions import audit_findings, drift
from clearml_ci.decisions.audit_findings import Finding, Subject
from clearml_ci.operations import github_access, main_branch
from clearml_ci.operations.main_branch import MainBranch
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters import remote_run
from clearml_ci.parameters.audit import Audit

TRAINING = {"run_until": remote_run.COMPLETION, "candidate": "train"}


def audit_retrain(services: Services, run: Run) -> RetrainResult:
    """The trainings, which stay as runs of the default branch like any other, and the findings."""
    audit = audit_parameters.from_arguments(run.arguments)
    launch = remote_run.from_arguments({**run.arguments, **TRAINING})
    if launch is None or not audit.gates:
        raise UsageError("retrain is set, but gates is empty: name the metrics that the trainings are compared by")
    remote_run.refuse_shared_queue(run.arguments, code=launch.queue)
    github = github_access.connect_if_possible(services.github, audit_parameters.as_check(audit))
    commit = main_branch.head_commit(github, audit)
    trainings: list[TaskDocument] = []
    for _ in range(audit.retrain):
        document = main_branch.launch(services, run, audit, launch, github=github, commit=commit)
        if document["outcome"] != Outcome.PASSED or document["task"] is None:
            repository = Subject("project", audit.home.repository, "")
            return _result(trainings, audit_findings.check_probe(document, repository))
        trainings.append(document["task"])
    main = main_branch.read(services.github, audit)  # connects anew: an App's token lasts an hour
    return _result(trainings, _compare(services.clearml, audit, [commit, *main.commits], trainings), main)


def _compare(
    clearml: ClearML, audit: Audit, commits: Sequence[str], trainings: Sequence[TaskDocument]
) -> list[Finding]:
    """The trainings are of one project and name; without GitHub the head alone may have earlier runs."""
    trained = task_records.with_metrics(clearml, [task["id"] for task in trainings], audit.gates)
    earlier = task_records.of_commits(
        clearml,
        commits,
        projects=[trainings[0]["project_id"]],
        task_name=trainings[0]["name"],
        gates=audit.gates,
    )
    return drift.of_retraining(list(trained.values()), earlier, audit.gates)


def _result(trainings: list[TaskDocument], findings: list[Finding], main: MainBranch | None = None) -> RetrainResult:
    return {
        "tasks": trainings,
        "findings": audit_findings.as_documents(findings),
        "notes": list(main.notes) if main else [],
        "unseen": list(main.unseen) if main else [],
    }


if __name__ == "__main__":
    step.main(audit_retrain)
