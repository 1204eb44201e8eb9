"""Report the plots of a run and of its steps: the verdict and what each step found, on the pages of their tasks."""

from clearml_ci.clearml_api import run_results, task_plots
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.core import console, redaction
from clearml_ci.core.plot import Plot
from clearml_ci.core.step_results import ReportResult
from clearml_ci.operations.services import Services
from clearml_ci.parameters.check import Check
from clearml_ci.report import plots, step_facts
from clearml_ci.report.plots import Charts
from clearml_ci.report.verdict_facts import Pages


def report(services: Services, run: Run, check: Check, result: ReportResult, charts: Charts | None) -> list[str]:
    """Report the plots of the run, and those of its steps with theirs: these need no request of their own.

    A refusal is a warning, which is returned. A second execution replaces the plots.
    """
    pages = Pages(_pull_request_url(check, result["comment_url"]), result["comment_url"])
    try:
        found = {run.id: plots.of_verdict(result["verdict"], pages, charts or Charts())}
        task_plots.report(services.clearml, found | _of_steps(services, run, result))
    except ClearMLError as error:
        return [f"the plots of the run could not be reported: {error}"]
    except Exception as error:  # a result that a user edited can be anything, and no picture fails a verdict
        console.log_error(error)
        return [f"the plots of the run could not be drawn: {redaction.mask(f'{type(error).__name__}: {error}')}"]
    return []


def _of_steps(services: Services, run: Run, result: ReportResult) -> dict[str, list[Plot]]:
    steps = run_results.steps(services.clearml, run.id).values()
    found = {step.id: [step_facts.plot(step.name, step.result)] for step in steps if step.result}
    if services.own_task:
        found[services.own_task] = [step_facts.plot("report", result)]
    return found


def _pull_request_url(check: Check, comment_url: str) -> str:
    """The page of the pull request, from that of its comment or from the repository's own address; "" without one."""
    pull = check.pull_request
    if f"/pull/{pull.number}#" in comment_url:
        return comment_url.partition("#")[0]
    for repository in pull.repositories if pull.number else ():
        address = repository.removesuffix(".git")
        if address.startswith(("https://", "http://")) and address.lower().endswith(f"/{pull.repository.lower()}"):
            return f"{address}/pull/{pull.number}"
    return ""
