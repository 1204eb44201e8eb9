"""What an audit is asked: the parameters of the `audit` pipeline.

Like those of a check they travel as strings in the `Args` of a ClearML run, and are cast and checked wherever they are
read. An audit looks at many projects at once, and speaks for one GitHub repository.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci.core import json_arguments
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.parameters import check, remote_run
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest

PIPELINE = "audit"


DEFAULT_LONGEST_WAIT = 3600.0


_CONTEXT_TEXTS = ("repository", "clone_url", "github_api", "base")


@dataclass(frozen=True)
class Home:
    """The GitHub repository that an audit speaks for: `base` is its main branch.

    `repositories` are the addresses under which tasks may have recorded it, `clone_url` the one that agents clone.
    `recent` is what the job read of main, for agents that cannot ask GitHub: `git_history.recent_commits`.
    """

    repository: str
    clone_url: str
    github_api: str
    base: str
    repositories: tuple[str, ...]
    comment_authors: tuple[str, ...] = ()
    recent: tuple[str, ...] = ()

    @property
    def main(self) -> PullRequest:
        """The main branch as a pull request that everything in it belongs to; it has no number."""
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

    Each task name of a project has a best of its own, and `task_name` may be empty: then the tasks of every name are
    looked at. A check without a name compares with all bests of its project. `gates` tell how much worse than the best
    main may be. `commit` is main's head, empty where the step has to ask GitHub. `queues` are looked at, and
    `longest_wait` is in seconds. `clean_up`: stop the leftovers that carry our mark. `retrain`: how often main is
    trained again. `waited_for`: a job waits for the verdict, and speaks for agents that cannot.
    `name` tells several audits of one repository apart.
    """

    home: Home
    commit: str
    projects: tuple[str, ...]
    task_name: str
    best_tag: str
    gates: tuple[Gate, ...]
    queues: tuple[str, ...]
    longest_wait: float = DEFAULT_LONGEST_WAIT
    clean_up: bool = True
    retrain: int = 0
    waited_for: bool = True
    name: str = ""

    def to_arguments(self) -> dict[str, str]:
        """The `Args` of a run. Names with a leading underscore are hidden in the New run dialog."""
        home = self.home
        context = {
            **{name: getattr(home, name) for name in _CONTEXT_TEXTS},
            "repositories": list(home.repositories),
            "comment_authors": list(home.comment_authors),
            "recent": list(home.recent),
            "waited_for": self.waited_for,
        }
        return {
            "commit": self.commit,
            "projects": "\n".join(self.projects),
            "task_name": self.task_name,
            "best_tag": self.best_tag,
            "gates": json_arguments.gates_text(self.gates),
            "queues": "\n".join(self.queues),
            "longest_wait": f"{self.longest_wait:g}",
            "clean_up": "true" if self.clean_up else "false",
            "retrain": str(self.retrain),
            check.NAME: self.name,
            "_context": json.dumps(context),
        }


def from_arguments(arguments: Mapping[str, str]) -> Audit:
    """The audit that a run's `Args` ask for. Raises UsageError that names the parameter."""
    context = _context(arguments.get("_context", ""))
    commit = arguments.get("commit", "").strip()
    return Audit(
        home=_home(context),
        commit=check.commit(commit, name="commit") if commit else "",
        projects=names(arguments.get("projects", "")),
        task_name=arguments.get("task_name", "").strip(),
        best_tag=check.best_tag(arguments.get("best_tag", ""), name="best_tag"),
        gates=_gates(arguments),
        queues=_queues(arguments),
        longest_wait=_seconds(arguments.get("longest_wait", "")),
        clean_up=json_arguments.word("clean_up", arguments.get("clean_up", ""), {"true": True, "false": False}),
        retrain=times(arguments.get("retrain", ""), name="retrain"),
        name=arguments.get(check.NAME, "").strip(),
        waited_for=bool(context.get("waited_for", True)),
    )


def names(text: str) -> tuple[str, ...]:
    """Names, one a line or separated by commas."""
    return tuple(dict.fromkeys(name.strip() for name in re.split(r"[,\n]", text) if name.strip()))


def times(text: str, *, name: str) -> int:
    """How often main is trained again. Raises UsageError."""
    if not re.fullmatch(r"[0-9]?", text.strip()):
        raise UsageError(f"{name} is {text[:60]!r}: expected how often main is trained again, from 0 to 9")
    return int(text.strip() or 0)


def as_check(audit: Audit, *, commit: str = "") -> Check:
    """Main's `commit` as a check of it would be asked: for what audits share with checks, GitHub and agents above all.

    It is no pull request's, so it has no number, and it is nobody's fork.
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
    """The steps that a run's `Args` ask for, each with those that it waits for; whatever somebody typed."""
    steps: dict[str, list[str]] = {"audit_baselines": [], "audit_leftovers": []}
    if arguments.get("run_until", "").strip().lower() not in remote_run.OFF:
        steps["audit_probe"] = []
    if arguments.get("retrain", "").strip() not in ("", "0"):
        # One after the other: a probe must not wait in its queue for a training of hours.
        steps["audit_retrain"] = [name for name in steps if name == "audit_probe"]
    return {**steps, "audit_report": list(steps)}


def launches(arguments: Mapping[str, str]) -> bool:
    """Is main's code run on an agent?"""
    return not plan(arguments).keys().isdisjoint(("audit_probe", "audit_retrain"))


def _gates(arguments: Mapping[str, str]) -> tuple[Gate, ...]:
    text = arguments.get("gates", "")
    return json_arguments.gates(text) if text.strip() else ()


def _queues(arguments: Mapping[str, str]) -> tuple[str, ...]:
    """Where none is named: the steps' own, and the one that a probe would be run on."""
    given = names(arguments.get("queues", ""))
    own = (arguments.get("_steps_queue", "").strip(), arguments.get("run_queue", "").strip())
    return given or tuple(dict.fromkeys(name for name in own if name))


def _seconds(text: str) -> float:
    try:
        seconds = float(text.strip() or DEFAULT_LONGEST_WAIT)
    except ValueError:
        seconds = -1
    if not 0 < seconds < float("inf"):
        raise UsageError(f"longest_wait is {text[:60]!r}: expected a number of seconds, such as 3600")
    return seconds


def _context(text: str) -> dict[str, Any]:
    try:
        context: Any = json.loads(text)
    except ValueError:
        context = None
    if not isinstance(context, dict) or not isinstance(context.get("repositories"), list):
        raise UsageError("_context is not what ci_trigger.py writes: start the audit through it, or rerun such a run")
    return context


def _home(context: Mapping[str, Any]) -> Home:
    return Home(
        **{name: str(context.get(name, "")) for name in _CONTEXT_TEXTS},
        repositories=tuple(str(url) for url in context["repositories"]),
        comment_authors=tuple(str(login) for login in context.get("comment_authors", [])),
        recent=tuple(str(commit) for commit in context.get("recent", [])),
    )
