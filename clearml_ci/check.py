"""What one pull-request check is asked: the parameters of the `pr_check` pipeline.

They travel as the `Args` of a ClearML run, where every value is a string (`pipelines.start_pipeline` and the
web UI's New run both send strings), so they are cast and checked here, each time, for whoever started the run.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci import remote
from clearml_ci.errors import UsageError

DEFAULT_BEST_TAG = "Best Performance"
GOALS = {"MAX": "maximize", "MIN": "minimize", "MAXIMIZE": "maximize", "MINIMIZE": "minimize"}
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class PullRequest:
    """The pull request as GitHub described it; `repositories` are the addresses that its code may come from.

    `head_url` is where its code is cloned from, without credentials.
    """

    repository: str
    number: int
    repositories: tuple[str, ...]
    github_api: str
    author: str = ""
    head_repository: str = ""  # owner/name, empty where the fork was deleted
    head_url: str = ""
    labeled_by: str = ""  # who put the label of approval on it, in the event that started this very check

    @property
    def is_fork(self) -> bool:
        """Does its code come from another repository?"""
        return self.head_repository.lower() != self.repository.lower()


@dataclass(frozen=True)
class Metric:
    """A scalar `title/series` with its direction and the tolerance in percent of |baseline|."""

    title: str
    series: str
    goal: str
    threshold_percent: float

    @property
    def name(self) -> str:
        return f"{self.title}/{self.series}"


@dataclass(frozen=True)
class Check:
    """One check: which commit of which pull request, where its evidence is, and how it is judged.

    `project` may be empty (the whole workspace), `metric` is None where nothing is compared. `candidate` and `until`
    are those of `remote.RemoteRun`; the rest of what a remote run needs is read by its step alone.
    """

    commit: str
    pull_request: PullRequest
    project: str
    task_name: str
    metric: Metric | None
    best_tag: str
    candidate: str = "find"
    until: str = "off"

    def to_arguments(self) -> dict[str, str]:
        """The `Args` of a run. Names with a leading underscore are hidden in the New run dialog."""
        metric = self.metric or Metric("", "", "maximize", 0.0)
        return {
            "commit": self.commit,
            "pull_request": str(self.pull_request.number),
            "project": self.project,
            "task_name": self.task_name,
            "scalar_title": metric.title,
            "scalar_series": metric.series,
            "goal": metric.goal,
            "threshold_percent": f"{metric.threshold_percent:.15g}",
            "best_tag": self.best_tag,
            "candidate": self.candidate,
            "run_until": self.until,
            "_context": json.dumps(
                {
                    "repository": self.pull_request.repository,
                    "repositories": list(self.pull_request.repositories),
                    "github_api": self.pull_request.github_api,
                    "author": self.pull_request.author,
                    "head_repository": self.pull_request.head_repository,
                    "head_url": self.pull_request.head_url,
                    "labeled_by": self.pull_request.labeled_by,
                    "labeled_commit": self.commit if self.pull_request.labeled_by else "",
                }
            ),
        }


def from_arguments(arguments: Mapping[str, str]) -> Check:
    """The check that a run's `Args` ask for. Raises UsageError that names the parameter."""
    context = _context(arguments.get("_context", ""))
    of_commit = commit(arguments.get("commit", ""), name="commit")
    source = remote.candidate(arguments.get("candidate", ""), name="candidate")
    return Check(
        commit=of_commit,
        pull_request=PullRequest(
            repository=str(context.get("repository", "")),
            number=_number(arguments.get("pull_request", "")),
            repositories=tuple(str(url) for url in context["repositories"]),
            github_api=str(context.get("github_api", "")),
            author=str(context.get("author", "")),
            head_repository=str(context.get("head_repository", "")),
            head_url=str(context.get("head_url", "")),
            # An approval is of one commit: a rerun with another one in its parameters has none.
            labeled_by=str(context.get("labeled_by", "")) if context.get("labeled_commit") == of_commit else "",
        ),
        project=arguments.get("project", "").strip(),
        task_name=arguments.get("task_name", "").strip(),
        metric=metric(
            title=arguments.get("scalar_title", ""),
            series=arguments.get("scalar_series", ""),
            goal=arguments.get("goal", ""),
            threshold=arguments.get("threshold_percent", ""),
        ),
        best_tag=best_tag(arguments.get("best_tag", ""), name="best_tag"),
        candidate=source,
        until=remote.until(arguments.get("run_until", ""), candidate=source, name="run_until"),
    )


def plan(arguments: Mapping[str, str]) -> dict[str, list[str]]:
    """The steps that a run's `Args` ask for, each with those that it waits for.

    Takes whatever somebody typed: where it makes no sense, the steps that read it say so, and `report` tells it.
    """
    source = arguments.get("candidate", "").strip().lower()
    far = arguments.get("run_until", "").strip().lower()
    runs = far not in remote.OFF or (not far and source in remote.TRAINING)
    steps: dict[str, list[str]] = {}
    if source not in ("train", "none"):
        steps["find_task"] = []
    if runs:
        steps["remote_run"] = ["find_task"] if source == "find-or-train" else []
    if source != "none" and (arguments.get("scalar_title") or arguments.get("scalar_series")):
        waits_for = ["find_task", *(["remote_run"] if source in remote.TRAINING else [])]
        steps["compare"] = [name for name in waits_for if name in steps]
    awaited = {name for parents in steps.values() for name in parents}
    steps["report"] = [name for name in steps if name not in awaited]
    return steps


def commit(text: str, *, name: str) -> str:
    """A full commit hash, in lower case."""
    text = text.strip().lower()
    if not text:
        raise UsageError(f"{name} is empty: give the full hash of the pull request's head commit")
    if not _COMMIT.fullmatch(text):
        raise UsageError(f"{name} is {text[:60]!r}: expected the 40 hexadecimal digits of a full commit hash")
    return text


def best_tag(text: str, *, name: str) -> str:
    """The tag of the best task. ClearML's queries read a leading `-` as "not", and `__$` as an operator."""
    tag = text.strip() or DEFAULT_BEST_TAG
    if tag.startswith(("-", "__$")):
        raise UsageError(f"{name} is {tag!r}: a tag must not begin with '-' or '__$'")
    return tag


def metric(
    *,
    title: str,
    series: str,
    goal: str,
    threshold: str,
    prefix: tuple[str, str] = ("scalar_title", "scalar_series"),
) -> Metric | None:
    """The metric to compare, or None where neither title nor series is set."""
    title, series = title.strip(), series.strip()
    if not title and not series:
        return None
    if not title or not series:
        raise UsageError(f"{prefix[0]} is {title!r} and {prefix[1]} is {series!r}: set both, or neither")
    return Metric(title, series, _goal(goal), _threshold(threshold))


def _goal(text: str) -> str:
    goal = GOALS.get(text.strip().upper() or "MAX")
    if goal is None:
        raise UsageError(f"goal is {text!r}: expected MAX (larger is better) or MIN (smaller is better)")
    return goal


def _threshold(text: str) -> float:
    try:
        threshold = float(text.strip().removesuffix("%") or 0)
    except ValueError:
        threshold = math.nan
    if not math.isfinite(threshold) or threshold < 0:
        raise UsageError(f"threshold is {text!r}: expected a percentage of the best value, such as 3 or 0.5")
    return threshold


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]*", text.strip()):
        raise UsageError(f"pull_request is {text!r}: expected the number of a pull request")
    return int(text)


def _context(text: str) -> dict[str, Any]:
    try:
        context = json.loads(text)
    except ValueError:
        context = None
    if not isinstance(context, dict) or not isinstance(context.get("repositories"), list):
        raise UsageError("_context is not what ci_trigger.py writes: start the check through it, or rerun such a run")
    return context
