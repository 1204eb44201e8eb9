"""Find the commits whose check no live run will finish, and finish it as an error that links to the run."""

from dataclasses import dataclass

from clearml_ci.clearml_api import run_cancellation, run_signs
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.project_lookup import root_of
from clearml_ci.clearml_api.session import RUN_PAGES, ClearMLError
from clearml_ci.clearml_api.task_status import LIVE
from clearml_ci.core import console, formatting
from clearml_ci.decisions import stale_checks
from clearml_ci.decisions.audit_findings import Finding
from clearml_ci.decisions.stale_checks import KnownRun, Stale
from clearml_ci.github_api import check_runs, pull_requests, statuses, unfinished_checks
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations.services import Services
from clearml_ci.parameters import check
from clearml_ci.parameters.audit import Audit

MOST_COMMITS = 100  # with two requests to GitHub each


SECOND_LOOK = 90  # seconds: a live controller pings its server every 30 s, and a job looks at its run every 3 s


UNREAD = "commits whose status stays pending were not looked for"


@dataclass(frozen=True)
class Look:
    """The stale checks of one look, and a note if some commits were left out."""

    stale: list[Stale]
    notes: tuple[str, ...] = ()


def find(services: Services, github: GitHub, run: Run, audit: Audit) -> Look:
    """The stale checks that two looks found alike. Raises ClearMLError and GitHubError."""
    first = _look(services, github, run, audit)
    if not first.stale:
        return first
    console.log(f"{formatting.count(len(first.stale), 'check')} may be stale; looking again in {SECOND_LOOK} s")
    services.clock.sleep(SECOND_LOOK)
    second = _look(services, github, run, audit)
    return Look(stale_checks.confirmed(first.stale, second.stale), second.notes)


def settle(services: Services, github: GitHub, stale: Stale, notes: list[str], *, clean_up: bool) -> Finding:
    """Finish a stale check as an error; with `clean_up`, first stop its run that is dead but not ended.

    What ClearML or GitHub refuses is added to the notes.
    """
    try:
        if clean_up and stale.run and stale.run.ours:
            _stop(services, stale.run)
    except ClearMLError as error:
        notes.append(str(error))
    try:
        _finish(github, stale)
    except GitHubError as error:
        notes.append(str(error))
        return stale_checks.finding(stale, settled=False)
    return stale_checks.finding(stale, settled=True)


def _look(services: Services, github: GitHub, run: Run, audit: Audit) -> Look:
    clearml, clock, root = services.clearml, services.clock, root_of(run.project)
    runs = run_signs.newest(clearml, root=root, clock=clock)
    told_at = [known.commit for known in runs if known.commit]
    commits = list(dict.fromkeys([*pull_requests.open_heads(github), *told_at]))
    server = run.url.partition(RUN_PAGES)[0] + RUN_PAGES
    ours = [
        unfinished
        for commit in commits[:MOST_COMMITS]
        for unfinished in unfinished_checks.read(github, commit, named=check.CHECK_NAME)
        if not unfinished.url or unfinished.url.startswith(server)  # otherwise that of another tool
    ]
    older = {unfinished.run for unfinished in ours if unfinished.url} - {known.id for known in runs}
    runs += run_signs.of_ids(clearml, sorted(older), root=root, clock=clock)
    note = f"{MOST_COMMITS} of {len(commits)} commits with checks were looked at for stale ones"
    stale = stale_checks.find(ours, runs, longest_wait=audit.longest_wait)
    return Look(stale, (note,) if len(commits) > MOST_COMMITS else ())


def _stop(services: Services, run: KnownRun) -> None:
    """Have a run that is not ended post nothing any more, and end it with its steps."""
    if run.status in LIVE:
        reason = "ClearML CI: the audit found no sign of life"
        run_cancellation.give_up(services.clearml, run.id, reason=reason)
        run_cancellation.stop(services.clearml, run.id, reason=reason, clock=services.clock)


def _finish(github: GitHub, stale: Stale) -> None:
    unfinished, text = stale.unfinished, stale_checks.described(stale)
    if unfinished.check_run is not None:
        check_runs.finish(github, unfinished.check_run, conclusion="failure", title=text, summary=text, url=stale.url)
        return
    present = statuses.latest(github, commit=unfinished.commit, name=unfinished.name)
    if present == ("pending", unfinished.url):  # a verdict may have come in between
        statuses.create(
            github, commit=unfinished.commit, name=unfinished.name, state="error", description=text, url=stale.url
        )
