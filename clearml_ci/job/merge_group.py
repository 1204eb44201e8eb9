"""A merge queue's commit: a verdict is carried over to it, or it is probed or trained as a check of its own.

The required status is always set on the commit that the queue has built, which is no pull request's head.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from clearml_ci.clearml_api import check_history, project_lookup
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import merge_queue
from clearml_ci.decisions import verdict as verdicts
from clearml_ci.decisions.merge_queue import Judged
from clearml_ci.github_api import merge_groups, pull_requests, statuses
from clearml_ci.github_api.session import GitHub
from clearml_ci.job import events, reporter, workflow_output
from clearml_ci.job import settings as job_settings
from clearml_ci.job.events import Event
from clearml_ci.job.settings import Settings
from clearml_ci.operations import commit_history, publish
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters import remote_run as remote
from clearml_ci.parameters.check import Check
from clearml_ci.report import comment

EVENT = "merge_group"


DISMISSED = "the merge group is gone: GitHub has merged or dismissed it"


_MOST = 100  # pull requests of a group that are looked at: a queue merges no more in one


_HEADS = "refs/heads/"


@dataclass(frozen=True)
class Group:
    """A merge group as GitHub's event has it; `number` is that of the pull request for which it was made.

    `event` is the same in the form of a pull request's event, at the commit that the queue has built.
    """

    branch: str
    number: int
    base: str
    base_sha: str
    head_sha: str
    event: Event


@dataclass(frozen=True)
class Carried:
    """A verdict for the queue's commit, without a run of its own."""

    check: Check
    document: VerdictDocument


def is_one(environ: Mapping[str, str]) -> bool:
    """True if the job's event is that of a merge queue."""
    return environ.get("GITHUB_EVENT_NAME", "").strip() == EVENT


def of_event(event: Event) -> Group | None:
    """The group that is to be checked; None if the event is about its end. Raises UsageError for any other event."""
    if events.text(event, "action") == "destroyed":
        return None
    branch = events.text(event, "merge_group", "head_ref").removeprefix(_HEADS)
    head, number = events.text(event, "merge_group", "head_sha"), merge_queue.number_of(branch)
    if not head or not number:
        raise UsageError(
            f"the event names no commit of a merge queue ({branch or 'no branch'}): run this with `on: merge_group`"
        )
    base = events.text(event, "merge_group", "base_ref").removeprefix(_HEADS)
    home = event.get("repository")
    pull = {"number": number, "head": {"sha": head, "repo": home}, "base": {"ref": base, "repo": home}}
    as_pull = {"action": "checks_requested", "pull_request": pull, "repository": home}
    return Group(branch, number, base, events.text(event, "merge_group", "base_sha"), head, as_pull)


def plan(clearml: ClearML, github: GitHub, settings: Settings, group: Group, *, policy: str) -> Carried | Settings:
    """The verdict that is carried over, or the settings of a check of the queue's commit. `policy` is the file's path.

    Raises ClearMLError, GitHubError and UsageError.
    """
    commits = merge_groups.commits(github, base=group.base, head=group.head_sha)
    numbers = merge_queue.numbers(group.number, commits)[:_MOST]
    check = replace(settings.check, group=tuple(numbers), group_branch=group.branch)
    heads = _heads(github, group, numbers)
    judged = [_judged(clearml, github, settings, number, head) for number, head in heads.items()]
    earlier = [group.base_sha] if group.base_sha in {commit.sha for commit in commits} else []
    candidates = [*judged, *(_judged(clearml, github, settings, 0, commit) for commit in earlier)]
    if same := merge_queue.same(_compared(github, check, each, policy) for each in candidates):
        return Carried(check, _document(check, same, merge_queue.why_carried(same)))
    mode = check.merge_queue or (merge_queue.PROBE if settings.remote_run else merge_queue.CARRIED)
    if mode == merge_queue.TRAIN:
        return _trained(settings, check)
    decides, reason = merge_queue.worst(judged)
    if mode == merge_queue.PROBE and decides and decides.is_green:
        return _probed(settings, check)
    return Carried(check, _document(check, decides, reason))


def _heads(github: GitHub, group: Group, numbers: list[int]) -> dict[int, str]:
    """The heads of the group's pull requests that are still to be merged into its base branch."""
    found = {number: pull_requests.payload(github, number) for number in numbers}
    waiting = {
        number: events.text(pull, "head", "sha")
        for number, pull in found.items()
        if events.text(pull, "state") == "open" and events.text(pull, "base", "ref") == group.base
    }
    return {number: head for number, head in waiting.items() if head}


def _judged(clearml: ClearML, github: GitHub, settings: Settings, number: int, commit: str) -> Judged:
    """The newest verdict on a commit, as its status links to it: that decides what GitHub lets pass."""
    check = settings.check
    status = statuses.latest(github, commit=commit, name=check.check_name)
    pipeline = f"{settings.pipeline_project}{project_lookup.PIPELINES}{check_parameters.PIPELINE}"
    project = project_lookup.id_of(clearml, pipeline) if status else None
    if status is None or project is None:
        return Judged(number, commit, None)
    state, url = status
    found = check_history.verdict_at(clearml, url, project=project, commit=commit, name=check.name)
    return Judged(number, commit, found if found and found["state"] == state else None)


def _compared(github: GitHub, check: Check, judged: Judged, policy: str) -> Judged:
    """The same, with its difference from the queue's commit if it has a verdict."""
    if judged.verdict is None:
        return judged
    paths = merge_groups.difference(github, judged=judged.commit, head=check.commit)
    if paths is None:
        return replace(judged, difference="more files than GitHub lists")
    kept = that_matter(paths, ignored=check.ignored_paths, policy=policy)
    return replace(judged, difference=kept[0] if kept else "", ignored=bool(paths))


def that_matter(paths: Iterable[str], *, ignored: Iterable[str], policy: str) -> list[str]:
    """Those of these paths that are not ignored: the policy itself never is, because it decided the verdict."""
    patterns = tuple(ignored)
    return [path for path in paths if path == policy or not commit_history.is_ignored(path, patterns)]


def _document(check: Check, judged: Judged | None, reason: str) -> VerdictDocument:
    """The verdict on the queue's commit; without one on its pull requests it has no evidence."""
    place = {"commit": check.commit, "told_at": check.commit, "merge_group": list(check.group)}
    if judged is None or judged.verdict is None:
        none = verdicts.error(check, run={"id": "", "url": ""}, reason=reason)
        return _with(none, **place, **verdicts.conclusion_of(Outcome.NO_EVIDENCE))
    text = f"{reason}: {judged.verdict['exit_reason']}"
    return _with(judged.verdict, **place, exit_reason=text, pull_request=check.pull_request.number, promotion=None)


def _with(document: VerdictDocument, **changes: Any) -> VerdictDocument:
    return cast(VerdictDocument, {**document, **changes})


def _probed(settings: Settings, check: Check) -> Settings:
    probe = replace(check, candidate="none", gates=(), until=remote.PROBE, repeats=0)
    return _launched(settings, probe)


def _trained(settings: Settings, check: Check) -> Settings:
    candidate = check.candidate if check.candidate in remote.TRAINING else "train"
    return _launched(settings, replace(check, candidate=candidate, until=remote.COMPLETION))


def _launched(settings: Settings, check: Check) -> Settings:
    """The settings of a check that launches the queue's commit. Raises UsageError if nothing states what is run."""
    arguments = {**settings.arguments, **check.to_arguments()}
    launch = remote.from_arguments(arguments) if settings.remote_run else None
    if launch is None:
        raise UsageError(
            f"merge_queue is '{check.merge_queue}', but nothing is run: add `remote_run` to the policy, with a script"
        )
    remote.refuse_out_of_reach(launch, project=check.project, task_name=check.task_name)
    seconds = max(settings.deadline, job_settings.shortest_deadline(launch, times=1 + check.repeats))
    return replace(
        settings,
        check=check,
        remote_run=launch,
        arguments={**arguments, "_deadline": f"{math.ceil(seconds)}"},
        deadline=seconds,
    )


def publish_carried(settings: Settings, carried: Carried) -> int:
    """Set the status of the queue's commit, and the job's outputs; the exit code."""
    job, document = reporter.connect(carried.check, settings.github_token), carried.document
    url, body = document["pipeline"]["url"], comment.comment(document, [])
    job.start_check_run(url)
    job.set_status(state=document["state"], description=publish.status_description(document), url=url)
    if job.github is None or not job.is_set:
        document = verdicts.as_error(
            document, f"the status of {document['commit'][:10]} could not be set: rerun this job"
        )
    job.finish_check_run(document, body)
    workflow_output.conclude(document, title=comment.headline(document), comment_url="", body=body)
    return int(document["exit_code"])
