"""Accepted losses of a commit: read the comments from GitHub, and what their writers had seen from ClearML."""

from collections.abc import Sequence
from dataclasses import replace

from clearml_ci.clearml_api import check_history, run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import AcceptedDocument, VerdictDocument
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import CompareResult
from clearml_ci.decisions import accepted_losses
from clearml_ci.decisions.accepted_losses import Claim
from clearml_ci.github_api import pull_requests, repository_info, statuses
from clearml_ci.github_api.pull_requests import Comment
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import rerun
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import Acceptance

_MOST = 20  # writers of the newest comments with the command, and comments of each: each writer's role is a request


_MOST_REFUSALS = 3


_GONE = "the run that it had seen is gone, or runs again"


_RUN_TWICE = "the run that it had seen was executed again since; write it again once a new check has shown the loss"


_EDITED = (
    "This rerun accepts no loss: its parameters were edited, or the run that the job started was reset or is gone. The "
    "check of a new job does."
)


_UNSEEN = "no check of this commit had shown a loss when it was written"


def read(github: GitHub, check: Check) -> list[Acceptance]:
    """The comments that accept losses of the check's commit, oldest first, each with why it does not count, if so.

    Comments that a program wrote are left out, ours above all: they quote what others wrote. Raises GitHubError.
    """
    claims = _claims(github, check)
    if not claims:
        return []
    roles = {login: repository_info.role(github, login) for login in dict.fromkeys(claim.login for claim in claims)}
    verdicts = statuses.verdicts(github, commit=check.commit, name=check.check_name)
    found = []
    for claim in claims:
        seen = next((url for at, url in verdicts if at <= claim.at), "")
        judged = replace(accepted_losses.acceptance(check, claim, role=roles[claim.login]), seen=seen)
        found.append(judged if seen or judged.refusal else replace(judged, refusal=_UNSEEN))
    return found


def _claims(github: GitHub, check: Check) -> list[Claim]:
    found = (_claim(github, check, comment) for comment in pull_requests.comments(github, check.pull_request.number))
    return newest([claim for claim in found if claim])


def newest(claims: Sequence[Claim]) -> list[Claim]:
    """The newest claims of each of the newest writers, oldest first: one writer's comments hide no other writer's."""
    of_writer: dict[str, list[Claim]] = {}
    for claim in reversed(claims):
        of_writer.setdefault(claim.login, []).append(claim)
    kept = [id(claim) for own in list(of_writer.values())[:_MOST] for claim in own[:_MOST]]
    return [claim for claim in claims if id(claim) in kept]


def _claim(github: GitHub, check: Check, comment: Comment) -> Claim | None:
    command = accepted_losses.commit_and_rest(comment.body)
    if command is None or command[0] != check.commit or comment.by_program or not comment.login:
        return None
    if comment.login.lower() in github.trusted:
        return None
    return Claim(comment.login, command[1], comment.url, comment.created, edited=comment.is_edited)


def judge(clearml: ClearML, github: GitHub | None, run: Run, check: Check, result: CompareResult) -> CompareResult:
    """The comparison with the losses that were accepted; without `github` what the job has read of GitHub counts.

    Only a loss can be accepted: neither missing evidence nor a fault.
    """
    if result["outcome"] != Outcome.REGRESSED:
        return result
    try:
        found = read(github, check) if github else check.facts.accepted
    except GitHubError as error:
        return _with_warnings(result, [str(error)])
    granted: list[AcceptedDocument] = []
    refused: dict[str, str] = {}
    for acceptance in found:
        verdict, refusal = (None, acceptance.refusal) if acceptance.refusal else _seen(clearml, run, check, acceptance)
        if refusal:
            refused[acceptance.by] = refusal
        granted += accepted_losses.grants(acceptance, verdict["gates"] if verdict else [])
    warnings = [f"The comment of {by} accepts nothing: {refusal}." for by, refusal in refused.items()]
    if granted and rerun.is_edited(clearml, run.id):
        return _with_warnings(result, [_EDITED])
    accepting = {grant["by"] for grant in granted}
    shown = [warning for warning, by in zip(warnings, refused, strict=True) if by not in accepting]
    return _with_warnings(applied(result, granted), shown[:_MOST_REFUSALS])


def _seen(clearml: ClearML, run: Run, check: Check, acceptance: Acceptance) -> tuple[VerdictDocument | None, str]:
    """The verdict that the writer of a comment had seen, and why it does not count, if so."""
    verdict = check_history.verdict_at(
        clearml, acceptance.seen, project=run.project_id, commit=check.commit, name=check.name
    )
    if verdict is None:
        return None, _GONE
    if run_results.was_executed_again(clearml, check_history.run_at(acceptance.seen)):
        return None, _RUN_TWICE
    return verdict, ""


def applied(result: CompareResult, granted: Sequence[AcceptedDocument]) -> CompareResult:
    """The comparison in which these losses are accepted, and its outcome."""
    if granted and (reason := accepted_losses.hidden(result["gates"], result.get("slices", []))):
        return _with_warnings({**result, "accepted": []}, [reason])
    rows, accepted, warnings = accepted_losses.apply(result["gates"], granted)
    outcome, reason = accepted_losses.decide(rows) if accepted else (result["outcome"], result["reason"])
    judged: CompareResult = {**result, "outcome": outcome, "reason": reason, "gates": rows, "accepted": accepted}
    return _with_warnings(judged, warnings)


def _with_warnings(result: CompareResult, warnings: Sequence[str]) -> CompareResult:
    return {**result, "warnings": [*result["warnings"], *warnings]}


def summary(result: CompareResult) -> str:
    """A sentence on the loss that was accepted, by whom and why; "" unless the comparison came to that."""
    return accepted_losses.summary(result["accepted"]) if result["outcome"] == Outcome.ACCEPTED else ""


def of_merge(clearml: ClearML, run: Run, check: Check) -> list[AcceptedDocument]:
    """The losses that count as accepted in the newest completed check of the merged commit, edited reruns left out."""
    for check_run, verdict in check_history.verdicts(clearml, run, commit=check.commit, name=check.name):
        if not rerun.is_edited(clearml, check_run):
            return list(verdict.get("accepted", []))  # a verdict of an older version has none
    return []
