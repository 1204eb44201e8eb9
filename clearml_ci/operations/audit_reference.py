"""Read the recorded runs of the reference that do not carry its tags any more, and find what is wrong with it."""

from collections.abc import Mapping, Sequence

from clearml_ci.clearml_api import task_records
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.decisions import reference_findings
from clearml_ci.decisions.audit_findings import Finding, Subject, Tasks
from clearml_ci.decisions.reference_tags import Change
from clearml_ci.parameters.audit import Audit


def findings(
    clearml: ClearML,
    audit: Audit,
    by_tag: Mapping[str, Tasks],
    changes: Sequence[Change],
    *,
    projects: Mapping[str, Subject],
) -> list[Finding]:
    """The findings about the references of the audited projects: no request if all of their runs carry their tags.

    `changes` are all that were recorded, newest first; `projects` are the audited ones, by their ids.
    """
    tagged = {tag: [task for task, _ in tasks] for tag, tasks in by_tag.items()}
    own = reference_findings.of_audit(changes, best=audit.best_tag, name=audit.task_name, projects=projects)
    missing = task_records.with_tags(clearml, reference_findings.missing(own, tagged))
    return reference_findings.check(own, tagged, missing, best=audit.best_tag, projects=projects)
