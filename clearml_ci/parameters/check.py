"""What one pull-request check is asked: the parameters of the `pr_check` pipeline, and, after a merge, of `promote`.

They travel as the `Args` of a ClearML run, where every value is a string (`pipelines.start_pipeline` and the
web UI's New run both send strings), so they are cast and checked here, each time, for whoever started the run.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from clearml_ci.core import json_arguments
from clearml_ci.core.comment_mode import MODES
from clearml_ci.core.comparability import NO_RULES, MatchRules
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.parameters import promotion_mode, remote_run
from clearml_ci.parameters.pull_request import Facts, PullRequest

CHECK_NAME = "ClearML CI"


PIPELINE = "pr_check"


NAME = "_name"  # the Arg by which the runs of one name are told from those of another


DEFAULT_BEST_TAG = "Best Performance"


GOALS = {"MAX": "maximize", "MIN": "minimize", "MAXIMIZE": "maximize", "MINIMIZE": "minimize"}


_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Check:
    """One check: which commit of which pull request, where its evidence is, and how it is judged.

    `project` may be empty (the whole workspace), and so may `gates` (nothing is compared). `inconclusive` is "fail" or
    "pass": what the check shows where the evidence cannot decide. `baseline_main`: show main's own task as well.
    `candidate` and `until` are those of `remote.RemoteRun`; what else a remote run needs is read by its step alone.
    `comment` is one of comment_mode.MODES; `ignored_paths` are patterns of files that no run depends on;
    `waited_for`: a job waits for the verdict, and speaks for agents that cannot. `promote` is one of promotion.MODES;
    `action` is `check`, or what the pipeline `promote` does after the merge that made `merge_commit`. `name` tells the
    checks of several models of one repository apart, and is empty where there is one.
    """

    commit: str
    pull_request: PullRequest
    project: str
    task_name: str
    gates: tuple[Gate, ...]
    best_tag: str
    candidate: str = "find"
    until: str = "off"
    inconclusive: str = "fail"
    alike: MatchRules = NO_RULES
    baseline_main: bool = True
    comment: str = "always"
    comment_authors: tuple[str, ...] = ()
    ignored_paths: tuple[str, ...] = ()
    waited_for: bool = True
    facts: Facts = field(default_factory=Facts)
    promote: str = "better"
    action: str = "check"
    merge_commit: str = ""
    name: str = ""

    @property
    def check_name(self) -> str:
        """What the commit status is called. A status belongs to a commit, which may be proposed to several branches:
        what a lenient one lets pass must not turn the check of another one green.
        """
        named = f"{CHECK_NAME}: {self.name}" if self.name else CHECK_NAME
        base, default = self.pull_request.base, self.pull_request.default_branch
        return named if base in ("", default) or not default else f"{named} ({base})"

    @property
    def status_commit(self) -> str:
        """The commit whose status shows the verdict: a merge's is that of the base branch."""
        return self.merge_commit or self.commit

    @property
    def has_status(self) -> bool:
        """Is this about a commit, so that its verdict is a commit status? A rollback and an audit are about none."""
        return self.action in ("check", promotion_mode.PROMOTE)

    def to_arguments(self) -> dict[str, str]:
        """The `Args` of a run. Names with a leading underscore are hidden in the New run dialog."""
        flat = _flat(self.gates)
        return {
            "commit": self.commit,
            "pull_request": str(self.pull_request.number),
            "project": self.project,
            "task_name": self.task_name,
            "scalar_title": flat.title,
            "scalar_series": flat.series,
            "goal": flat.goal,
            "threshold_percent": f"{flat.tolerance:.15g}",
            "gates": "" if (flat,) == self.gates else json_arguments.gates_text(self.gates),
            "best_tag": self.best_tag,
            "inconclusive": self.inconclusive,
            "alike": json_arguments.alike_text(self.alike),
            "comment": self.comment,
            "promote": self.promote,
            **self._own_arguments(),
            NAME: self.name,
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
                    "base": self.pull_request.base,
                    "default_branch": self.pull_request.default_branch,
                    "facts": {"commit": self.commit, **asdict(self.facts)},
                    "comment_authors": list(self.comment_authors),
                    "ignored_paths": list(self.ignored_paths),
                    "waited_for": self.waited_for,
                }
            ),
        }

    def _own_arguments(self) -> dict[str, str]:
        """Those that only the one of the two pipelines has."""
        if self.action != "check":
            return {"action": self.action, "merge_commit": self.merge_commit}
        return {
            "candidate": self.candidate,
            "run_until": self.until,
            "baseline_main": "true" if self.baseline_main else "false",
        }


def from_arguments(arguments: Mapping[str, str]) -> Check:
    """The check that a run's `Args` ask for. Raises UsageError that names the parameter."""
    context = _context(arguments.get("_context", ""))
    of_commit = commit(arguments.get("commit", ""), name="commit")
    source = remote_run.candidate(arguments.get("candidate", ""), name="candidate")
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
            base=str(context.get("base", "")),
            default_branch=str(context.get("default_branch", "")),
        ),
        project=arguments.get("project", "").strip(),
        task_name=arguments.get("task_name", "").strip(),
        gates=_gates(arguments),
        best_tag=best_tag(arguments.get("best_tag", ""), name="best_tag"),
        candidate=source,
        until=remote_run.until(arguments.get("run_until", ""), candidate=source, name="run_until"),
        inconclusive=json_arguments.word(
            "inconclusive", arguments.get("inconclusive", ""), {"fail": "fail", "pass": "pass"}
        ),
        alike=json_arguments.alike(arguments.get("alike", "")),
        baseline_main=json_arguments.word(
            "baseline_main", arguments.get("baseline_main", ""), {"true": True, "false": False}
        ),
        comment=json_arguments.word("comment", arguments.get("comment", ""), {mode: mode for mode in MODES}),
        comment_authors=tuple(str(login) for login in context.get("comment_authors", [])),
        ignored_paths=tuple(str(pattern) for pattern in context.get("ignored_paths", [])),
        waited_for=bool(context.get("waited_for", True)),
        facts=_facts(context.get("facts"), of_commit),
        promote=json_arguments.word(
            "promote", arguments.get("promote", ""), {mode: mode for mode in promotion_mode.MODES}
        ),
        action=_action(arguments.get("action", "")),
        merge_commit=_merge_commit(arguments),
        name=arguments.get(NAME, "").strip(),
    )


def _facts(read: Any, of_commit: str) -> Facts:
    """Facts are of one commit: a rerun with another one in its parameters has none."""
    if not isinstance(read, dict) or read.get("commit") != of_commit:
        return Facts()
    return Facts(
        main_commits=tuple(str(one) for one in read.get("main_commits", ())),
        reusable_commits=tuple(str(one) for one in read.get("reusable_commits", ())),
        approved=read.get("approved") is True,
        committed={str(of): str(date) for of, date in dict(read.get("committed") or {}).items()},
    )


def plan(arguments: Mapping[str, str]) -> dict[str, list[str]]:
    """The steps that a run's `Args` ask for, each with those that it waits for.

    Takes whatever somebody typed: where it makes no sense, the steps that read it say so, and `report` tells it.
    """
    if arguments.get("action", "").strip().lower() not in ("", "check"):
        return promotion_mode.plan(arguments)
    source = arguments.get("candidate", "").strip().lower()
    far = arguments.get("run_until", "").strip().lower()
    runs = far not in remote_run.OFF or (not far and source in remote_run.TRAINING)
    steps: dict[str, list[str]] = {}
    if source not in ("train", "none"):
        steps["find_task"] = []
    if runs:
        steps["remote_run"] = ["find_task"] if source == "find-or-train" else []
    compares = any(arguments.get(name, "").strip() for name in ("scalar_title", "scalar_series", "gates"))
    if source != "none" and compares:
        waits_for = ["find_task", *(["remote_run"] if source in remote_run.TRAINING else [])]
        steps["compare"] = [name for name in waits_for if name in steps]
    if source != "none" and arguments.get("promote", "").strip().lower() == promotion_mode.ON_PASS:
        steps["promote"] = _last_of(steps)
    steps["report"] = _last_of(steps)
    return steps


def _last_of(steps: Mapping[str, list[str]]) -> list[str]:
    """Those that no other one waits for."""
    awaited = {name for parents in steps.values() for name in parents}
    return [name for name in steps if name not in awaited]


def _action(text: str) -> str:
    known = {action: action for action in ("check", *promotion_mode.ACTIONS)}
    return str(json_arguments.word("action", text, known))


def _merge_commit(arguments: Mapping[str, str]) -> str:
    given = arguments.get("merge_commit", "").strip()
    return commit(given, name="merge_commit") if given else ""


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


def single_gate(
    *,
    title: str,
    series: str,
    goal: str,
    threshold: str,
    prefix: tuple[str, str] = ("scalar_title", "scalar_series"),
) -> tuple[Gate, ...]:
    """The one gate that flat settings ask for; none where neither title nor series is set."""
    title, series = title.strip(), series.strip()
    if not title and not series:
        return ()
    if not title or not series:
        raise UsageError(f"{prefix[0]} is {title!r} and {prefix[1]} is {series!r}: set both, or neither")
    return (Gate(title, series, _goal(goal), tolerance=_threshold(threshold)),)


def _gates(arguments: Mapping[str, str]) -> tuple[Gate, ...]:
    """`gates` where it says something; the flat Args are ignored then."""
    if arguments.get("gates", "").strip():
        return json_arguments.gates(arguments["gates"])
    return single_gate(
        title=arguments.get("scalar_title", ""),
        series=arguments.get("scalar_series", ""),
        goal=arguments.get("goal", ""),
        threshold=arguments.get("threshold_percent", ""),
    )


def _flat(gates: tuple[Gate, ...]) -> Gate:
    """What the flat Args of these gates show: one gate as a person can edit it, or the empty one."""
    for gate in gates if len(gates) == 1 else ():
        if gate == Gate(gate.title, gate.series, gate.goal, tolerance=gate.tolerance):
            return gate
    return Gate("", "")


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
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text.strip()):
        raise UsageError(f"pull_request is {text[:60]!r}: expected the number of a pull request")
    return int(text)


def _context(text: str) -> dict[str, Any]:
    try:
        context = json.loads(text)
    except ValueError:
        context = None
    if not isinstance(context, dict) or not isinstance(context.get("repositories"), list):
        raise UsageError("_context is not what ci_trigger.py writes: start the check through it, or rerun such a run")
    return context


ORIGIN = "_origin"
