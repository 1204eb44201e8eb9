"""The parameters of the pipeline `audit`.

Like those of a check they travel as texts in the `Args` of a ClearML run. An audit looks at several ClearML projects,
and reports to one GitHub repository.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci.core import json_arguments, merge
from clearml_ci.core.gate import Gate
from clearml_ci.core.merge import Merge
from clearml_ci.parameters import catalogue, forms, remote_run, run_arguments, texts
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest

PIPELINE = catalogue.AUDIT


ALWAYS = ("audit_baselines", "audit_leftovers", "audit_stale_checks")  # the steps of every audit


_DEFAULT = run_arguments.defaults(PIPELINE)


_TEXTS = ("repository", "clone_url", "github_api", "base")


_LISTS = ("repositories", "comment_authors", "recent")


@dataclass(frozen=True)
class Home:
    """The GitHub repository that an audit reports to: `base` is its default branch.

    `repositories` are the addresses under which tasks may have recorded it, `clone_url` the one that agents clone.
    `recent` are the commits of the branch that the job read, and `merges` its merges, newest first, for agents without
    GitHub credentials.
    """

    repository: str
    clone_url: str
    github_api: str
    base: str
    repositories: tuple[str, ...]
    comment_authors: tuple[str, ...] = ()
    recent: tuple[str, ...] = ()
    merges: tuple[Merge, ...] = ()

    @property
    def main(self) -> PullRequest:
        """The default branch as a pull request from the repository itself; it has no number."""
        return PullRequest(
            repository=self.repository,
            number=0,
            repositories=self.repositories,
            github_api=self.github_api,
            head_repository=self.repository,
            head_url=self.clone_url,
            base=self.base,
        )


@dataclass(frozen=True)
class Audit:
    """One audit. `projects` are names, of which `name/*` stands for all below; none: those of the repository's checks.

    Each task name of a project has a baseline of its own; with an empty `task_name` the tasks of every name are looked
    at. A check without a name compares with all baselines of its project. `gates` limit how much worse than the
    baseline the default branch may be. `commit` is its head, empty if the step has to ask GitHub. `longest_wait` is in
    seconds. `clean_up`: end the leftovers that carry our mark. `retrain`: the number of trainings of the default
    branch. `bisect`: that of each merge that may have brought drift. If a job is `waited_for`, it posts for agents
    without GitHub credentials. `name` is empty if the repository has one audit.
    """

    home: Home
    commit: str
    projects: tuple[str, ...]
    task_name: str
    best_tag: str
    gates: tuple[Gate, ...]
    queues: tuple[str, ...]
    longest_wait: float = _DEFAULT["longest_wait"]
    clean_up: bool = _DEFAULT["clean_up"]
    retrain: int = _DEFAULT["retrain"]
    bisect: int = _DEFAULT["bisect"]
    waited_for: bool = True
    name: str = ""

    def to_arguments(self) -> dict[str, str]:
        """The `Args` of a run. The New run dialog hides names with a leading underscore."""
        return {
            **run_arguments.write(run_arguments.held_by(Audit, PIPELINE), self),
            "gates": json_arguments.gates_text(self.gates),
            "queues": forms.NAMES.write(self.queues),
            run_arguments.CONTEXT: json.dumps(
                {
                    **{name: getattr(self.home, name) for name in _TEXTS},
                    **{name: list(getattr(self.home, name)) for name in _LISTS},
                    "merges": list(map(merge.write, self.home.merges)),
                    "waited_for": self.waited_for,
                }
            ),
        }


def from_arguments(arguments: Mapping[str, str]) -> Audit:
    """The audit that a run's `Args` describe. Raises UsageError that names the parameter."""
    context = run_arguments.context(arguments)
    return Audit(
        **run_arguments.read(run_arguments.held_by(Audit, PIPELINE), arguments),
        home=_home(context),
        gates=_gates(arguments),
        queues=_queues(arguments),
        waited_for=bool(context.get("waited_for", True)),
    )


RETRAINING = {"run_until": remote_run.COMPLETION, "candidate": "train"}  # what a training has instead of the probe's


def trainings(arguments: Mapping[str, str]) -> int:
    """The number of trainings after which a run with these `Args` has ended. Raises UsageError.

    Of a bisection, that of two merges one after the other: most are trained side by side.
    """
    retrain, bisect = (
        int(catalogue.parameter(name).value(arguments.get(name, ""), name)) for name in ("retrain", "bisect")
    )
    return retrain + 2 * bisect


def as_check(audit: Audit, *, commit: str = "") -> Check:
    """The default branch's `commit` as a check: for what audits share with checks, GitHub and agents above all.

    It belongs to no pull request, so it has no number, and it is no fork's.
    """
    home = audit.home
    return Check(
        commit=commit or audit.commit,
        pull_request=home.main,
        project="",
        task_name=audit.task_name,
        gates=audit.gates,
        best_tag=audit.best_tag,
        candidate="none",
        action=PIPELINE,
        name=audit.name,
        comment_authors=home.comment_authors,
        waited_for=audit.waited_for,
    )


def plan(arguments: Mapping[str, str]) -> dict[str, list[str]]:
    """The steps that a run's `Args` ask for, each with those that it waits for; it takes any text."""
    steps: dict[str, list[str]] = {name: [] for name in ALWAYS}
    if arguments.get("run_until", "").strip().lower() not in remote_run.OFF:
        steps["audit_probe"] = []
    if arguments.get("retrain", "").strip() not in ("", "0"):
        # One after the other: a probe must not wait in its queue for a training of hours.
        steps["audit_retrain"] = [name for name in steps if name == "audit_probe"]
    if arguments.get("bisect", "").strip() not in ("", "0"):
        steps["audit_bisect"] = [name for name in steps if name in ("audit_probe", "audit_retrain")]
    return {**steps, "audit_report": list(steps)}


def launches(arguments: Mapping[str, str]) -> bool:
    """True if code of the default branch is run on an agent."""
    return not plan(arguments).keys().isdisjoint(("audit_probe", "audit_retrain", "audit_bisect"))


def _gates(arguments: Mapping[str, str]) -> tuple[Gate, ...]:
    text = arguments.get("gates", "")
    return json_arguments.gates(text) if text.strip() else ()


def _queues(arguments: Mapping[str, str]) -> tuple[str, ...]:
    """If none is named: that of the steps, and the one that a probe would be run on."""
    given = texts.names(arguments.get("queues", ""))
    own = (arguments.get("_steps_queue", "").strip(), arguments.get("run_queue", "").strip())
    return given or tuple(dict.fromkeys(name for name in own if name))


def _home(context: Mapping[str, Any]) -> Home:
    texts: dict[str, Any] = {name: run_arguments.text_in(context, name) for name in _TEXTS}
    lists: dict[str, Any] = {name: run_arguments.texts_in(context, name) for name in _LISTS}
    merges = tuple(filter(None, map(merge.read, run_arguments.texts_in(context, "merges"))))
    return Home(**texts, **lists, merges=merges)
