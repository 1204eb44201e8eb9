"""The parameters of one pull-request check: of the pipeline `pr_check`, and of `promote` after the merge.

They travel as the `Args` of a ClearML run. There every value is a text, whether ci_trigger.py, the web UI's New run or
another program started the run, so each step reads and checks them again.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from clearml_ci.core import checkpoint, json_arguments
from clearml_ci.core.comparability import MatchRules
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.core.redaction import excerpt
from clearml_ci.parameters import catalogue, forms, promotion_mode, remote_run, run_arguments, texts
from clearml_ci.parameters.pull_request import Acceptance, Facts, PullRequest

CHECK_NAME = "ClearML CI"


_LONGEST_NAME = 240  # of a status, which has at most 255 characters; the check run's name adds ten


PIPELINE = catalogue.CHECK


NAME = "_name"  # the Arg that keeps apart the runs of several checks of one repository


ORIGIN = "_origin"


_PIPELINES = (PIPELINE, promotion_mode.PIPELINE)


_DEFAULT = run_arguments.defaults(*_PIPELINES)


_TEXTS = ("repository", "github_api", "author", "head_repository", "head_url", "base", "default_branch", "title")


@dataclass(frozen=True)
class Check:
    """One check: a commit of a pull request, the tasks that are its evidence, and how it is judged.

    The fields of the list of parameters are described there. `project` may be empty (the whole workspace), and so may
    `gates` (nothing is compared). `until` is that of the remote run; only its step reads what else that needs.
    `ignored_paths` are patterns of files that no task depends on. A user with `accept_role` may accept a loss, the pull
    request's author only with `accept_author`. `group` are the pull requests of a merge queue's commit, on its
    `group_branch`. If a job is `waited_for`, it posts for agents without
    GitHub credentials. `action` is `check`, or what the pipeline `promote` does after the merge that made
    `merge_commit`. `name` is empty if the repository has one check.
    """

    commit: str
    pull_request: PullRequest
    project: str
    task_name: str
    gates: tuple[Gate, ...]
    best_tag: str
    at: str = _DEFAULT["at"]
    candidate: str = _DEFAULT["candidate"]
    until: str = _DEFAULT["run_until"]
    inconclusive: str = _DEFAULT["inconclusive"]
    alike: MatchRules = _DEFAULT["alike"]
    baseline_main: bool = _DEFAULT["baseline_main"]
    comment: str = _DEFAULT["comment"]
    comment_authors: tuple[str, ...] = ()
    ignored_paths: tuple[str, ...] = ()
    accept_role: str = "maintain"
    accept_author: bool = False
    merge_queue: str = ""
    group: tuple[int, ...] = ()
    group_branch: str = ""
    waited_for: bool = True
    facts: Facts = field(default_factory=Facts)
    promote: str = _DEFAULT["promote"]
    action: str = _DEFAULT["action"]
    merge_commit: str = ""
    name: str = ""
    rule: str = _DEFAULT["rule"]
    undecided: str = _DEFAULT["undecided"]
    seed: str = ""
    repeats: int = _DEFAULT["repeats"]
    repeats_hours: float = _DEFAULT["repeats_hours"]

    @property
    def check_name(self) -> str:
        """The name of the commit status.

        A status belongs to a commit, which may be proposed to several branches: a lenient branch must not turn the
        check of another one green. No name of a check ends like ` (branch)`, and no branch holds a space.
        """
        named = f"{CHECK_NAME}: {self.name}" if self.name else CHECK_NAME
        base, default = self.pull_request.base, self.pull_request.default_branch
        return named if base in ("", default) or not default else _fit(f"{named} ({base})")

    @property
    def status_commit(self) -> str:
        """The commit that gets the status: after a merge, the one on the base branch."""
        return self.merge_commit or self.commit

    @property
    def has_status(self) -> bool:
        """True if this is about a commit, so that its verdict is a commit status; not so a rollback and an audit."""
        return self.action in ("check", promotion_mode.PROMOTE)

    def to_arguments(self) -> dict[str, str]:
        """The `Args` of a run. The New run dialog hides names with a leading underscore."""
        pipeline = PIPELINE if self.action == "check" else promotion_mode.PIPELINE
        return {
            **run_arguments.write(run_arguments.held_by(Check, pipeline), self),
            "pull_request": str(self.pull_request.number),
            **_gate_arguments(self.gates),
            **({"run_until": self.until} if pipeline == PIPELINE else {}),
            run_arguments.CONTEXT: json.dumps(self._context()),
        }

    def _context(self) -> dict[str, Any]:
        """The part that no user edits; facts are of this commit alone."""
        pull = self.pull_request
        return {
            **{name: getattr(pull, name) for name in _TEXTS},
            "repositories": list(pull.repositories),
            "facts": {"commit": self.commit, **asdict(self.facts)},
            "comment_authors": list(self.comment_authors),
            "ignored_paths": list(self.ignored_paths),
            "accept": {"role": self.accept_role, "author": self.accept_author},
            "waited_for": self.waited_for,
            **({"group": list(self.group), "group_branch": self.group_branch} if self.group else {}),
        }


def _fit(name: str) -> str:
    """The name, cut and made unique by a hash if GitHub would refuse its length."""
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:10]
    return f"{name[: _LONGEST_NAME - 13]}… {digest})"


NOTHING = Check("", PullRequest("", 0, (), ""), "", "", (), _DEFAULT["best_tag"])  # all parameters at their defaults


def from_arguments(arguments: Mapping[str, str]) -> Check:
    """The check that a run's `Args` describe. Raises UsageError that names the parameter."""
    context = run_arguments.context(arguments)
    values = run_arguments.read(run_arguments.held_by(Check, *_PIPELINES), arguments)
    commit = texts.commit(values.pop("commit"), "commit")
    of_check = gates(arguments, started=run_arguments.started_with(arguments))
    checkpoint.resolved(of_check, values["at"])  # refuses one whose metric has no gate
    return Check(
        **values,
        commit=commit,
        pull_request=_pull_request(context, arguments),
        gates=of_check,
        until=remote_run.until(arguments.get("run_until", ""), candidate=values["candidate"], name="run_until"),
        comment_authors=run_arguments.texts_in(context, "comment_authors"),
        ignored_paths=run_arguments.texts_in(context, "ignored_paths"),
        **_accept(context.get("accept")),
        group=tuple(map(_number, run_arguments.texts_in(context, "group"))),
        group_branch=run_arguments.text_in(context, "group_branch"),
        waited_for=bool(context.get("waited_for", True)),
        facts=_facts(context.get("facts"), commit),
    )


def _pull_request(context: Mapping[str, Any], arguments: Mapping[str, str]) -> PullRequest:
    return PullRequest(
        **{name: run_arguments.text_in(context, name) for name in _TEXTS},
        number=_number(arguments.get("pull_request", "")),
        repositories=run_arguments.texts_in(context, "repositories"),
    )


def _accept(known: Any) -> dict[str, Any]:
    """The policy's key `accept`; a run of an older version has none, and the defaults count."""
    if not isinstance(known, dict):
        return {}
    return {"accept_role": run_arguments.text_in(known, "role"), "accept_author": known.get("author") is True}


def _acceptances(known: Any) -> tuple[Acceptance, ...]:
    names = [field.name for field in fields(Acceptance)]
    listed = known if isinstance(known, list) else []
    return tuple(
        Acceptance(**{name: run_arguments.text_in(each, name) for name in names})
        for each in listed
        if isinstance(each, dict)
    )


def _dates(known: Any) -> dict[str, str]:
    return {str(commit): str(date) for commit, date in known.items()} if isinstance(known, dict) else {}


def _facts(known: Any, commit: str) -> Facts:
    """Facts are of one commit: a rerun with another one in its parameters has none."""
    if not isinstance(known, dict) or known.get("commit") != commit:
        return Facts()
    return Facts(
        main_commits=run_arguments.texts_in(known, "main_commits"),
        reusable_commits=run_arguments.texts_in(known, "reusable_commits"),
        approved=known.get("approved") is True,
        committed=_dates(known.get("committed")),
        accepted=_acceptances(known.get("accepted")),
    )


def plan(arguments: Mapping[str, str]) -> dict[str, list[str]]:
    """The steps that a run's `Args` ask for, each with those that it waits for.

    It takes any text: if a value is wrong, the steps that read it fail with a message, which `report` posts.
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
    """The steps that no other one waits for."""
    awaited = {name for parents in steps.values() for name in parents}
    return [name for name in steps if name not in awaited]


def gates(
    arguments: Mapping[str, str],
    *,
    names: Mapping[str, str] | None = None,
    started: Mapping[str, str] | None = None,
) -> tuple[Gate, ...]:
    """The gates of the Arg `gates`, or, if it is empty, the one of the flat Args; none if neither is set.

    Raises UsageError; `names` are what the user calls the Args, if that differs. `started` are the Args that a job
    started the run with: a flat Arg that a user edited since must not be without effect.
    """
    if arguments.get("gates", "").strip():
        return _edited(json_arguments.gates(arguments["gates"]), arguments, started or {})
    title, series = (arguments.get(name, "").strip() for name in ("scalar_title", "scalar_series"))
    if not title and not series:
        return ()
    if not title or not series:
        first, second = ((names or {}).get(name, name) for name in ("scalar_title", "scalar_series"))
        raise UsageError(f"{first} is {title!r} and {second} is {series!r}: set both, or neither")
    flat = run_arguments.read(_FLAT, arguments, names=names)
    return (Gate(title, series, flat["goal"], tolerance=flat["threshold_percent"]),)


def _edited(gates: tuple[Gate, ...], arguments: Mapping[str, str], started: Mapping[str, str]) -> tuple[Gate, ...]:
    """The gates with an edited `threshold_percent`. Raises UsageError for edits of the other flat Args."""
    for name in ("scalar_title", "scalar_series", "goal"):
        if _is_edited(name, arguments, started):
            raise UsageError(f"{name} has no effect: this run's gates are in `gates`; edit that")
    if not _is_edited("threshold_percent", arguments, started):
        return gates
    tolerance = catalogue.parameter("threshold_percent").value(arguments["threshold_percent"], "threshold_percent")
    if not any(gate.relative for gate in gates):
        raise UsageError(
            f"threshold_percent is {arguments['threshold_percent'].strip()!r}, but no gate of this run has a tolerance "
            "in percent: edit `gates`"
        )
    return tuple(replace(gate, tolerance=tolerance) if gate.relative else gate for gate in gates)


def _is_edited(name: str, arguments: Mapping[str, str], started: Mapping[str, str]) -> bool:
    return name in started and arguments.get(name, "").strip() not in ("", started[name].strip())


_FLAT = (catalogue.parameter("goal"), catalogue.parameter("threshold_percent"))


def _gate_arguments(gates: tuple[Gate, ...]) -> dict[str, str]:
    """One plain gate in Args that a user can edit, all others as JSON."""
    flat = _flat(gates)
    return {
        "scalar_title": flat.title,
        "scalar_series": flat.series,
        "goal": flat.goal,
        "threshold_percent": "" if gates and (flat,) != gates else forms.PERCENT.write(flat.tolerance),
        "gates": "" if (flat,) == gates else json_arguments.gates_text(gates),
    }


def _flat(gates: tuple[Gate, ...]) -> Gate:
    """The gate that the flat Args can hold, or the empty one."""
    for gate in gates if len(gates) == 1 else ():
        if gate == Gate(gate.title, gate.series, gate.goal, tolerance=gate.tolerance):
            return gate
    return Gate("", "")


def _number(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text.strip()):  # int() refuses thousands of digits with a ValueError
        raise UsageError(f"pull_request is {excerpt(text, 60)!r}: expected the number of a pull request")
    return int(text)
