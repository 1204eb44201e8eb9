"""Train the default branch's head again, and compare the results with its own earlier runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from clearml_ci.clearml_api import task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import audit_findings, drift
from clearml_ci.decisions.audit_findings import Finding, Subject
from clearml_ci.operations import github_access, main_branch
from clearml_ci.operations.main_branch import MainBranch
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.remote_run import RemoteRun


@dataclass(frozen=True)
class Retraining:
    """The trainings, the findings about them, and the default branch that they were compared with, if they were."""

    trainings: list[TaskDocument]
    findings: list[Finding]
    main: MainBranch | None = None


def retrain(services: Services, run: Run, audit: Audit, launch: RemoteRun) -> Retraining:
    """Train as often as the audit asks, and compare. One that fails ends it, as a finding."""
    github = github_access.connect_if_possible(services.github, audit_parameters.as_check(audit))
    commit = main_branch.head_commit(github, audit)
    trainings: list[TaskDocument] = []
    for number in range(audit.retrain):
        document = main_branch.launch(services, run, audit, launch, github=github, commit=commit, number=number)
        if document["outcome"] != Outcome.PASSED or document["task"] is None:
            repository = Subject("project", audit.home.repository, "")
            return Retraining(trainings, audit_findings.check_probe(document, repository))
        trainings.append(document["task"])
    main = main_branch.read(services.github, audit)  # connects anew: an App's token lasts an hour
    return Retraining(trainings, _compare(services.clearml, audit, [commit, *main.commits], trainings), main)


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
