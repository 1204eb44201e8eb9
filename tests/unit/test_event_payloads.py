"""Events as GitHub sends them, cut to what is read: each ends in the right decision or in one clear line."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.core.errors import UsageError
from clearml_ci.github_api.session import GitHubError
from clearml_ci.job import agent_code, event_context, events, settings

HEAD, MERGE = "c" * 40, "d" * 40
OURS: dict[str, Any] = {
    "full_name": "octo-owner/digits",
    "clone_url": "https://github.com/octo-owner/digits.git",
    "default_branch": "main",
    "pushed_at": "2026-11-26T10:00:00Z",
}
FORK = {**OURS, "full_name": "ada/digits", "clone_url": "https://github.com/ada/digits.git"}
PULL: dict[str, Any] = {
    "number": 7,
    "state": "open",
    "merged": False,
    "merged_at": None,
    "merge_commit_sha": MERGE,
    "body": None,
    "user": {"login": "ada", "type": "User"},
    "labels": [],
    "head": {"label": "octo-owner:better", "ref": "better", "sha": HEAD, "repo": OURS},
    "base": {"label": "octo-owner:main", "ref": "main", "sha": "e" * 40, "repo": OURS},
}
MERGED = {"state": "closed", "merged": True, "merged_at": "2026-11-26T10:00:00Z"}
COMMIT = {"id": "b" * 40, "distinct": True, "author": {"name": "Ada", "email": None}, "added": []}
PUSH = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "base_ref": None, "commits": [COMMIT]}


def pull(action: str = "opened", **changes: Any) -> dict[str, Any]:
    return {"action": action, "number": 7, "pull_request": {**PULL, **changes}, "repository": OURS, "sender": None}


def push(**changes: Any) -> dict[str, Any]:
    return {**PUSH, "repository": {**OURS, "pushed_at": 1764151200, "master_branch": "main"}, **changes}


def side(repository: object) -> dict[str, Any]:
    return {"label": None, "ref": "better", "sha": HEAD, "repo": repository}


def environ(directory: Path, name: str, text: str) -> dict[str, str]:
    (directory / "event.json").write_text(text)
    return {
        "GITHUB_EVENT_NAME": name,
        "GITHUB_EVENT_PATH": str(directory / "event.json"),
        "GITHUB_REPOSITORY": "octo-owner/digits",
        "CLEARML_CI_PROJECT": "Digits",
        "CLEARML_CI_SCALAR_TITLE": "accuracy",
        "CLEARML_CI_SCALAR_SERIES": "validation",
    }


def decision(job: dict[str, str]) -> str:
    """What a job of this event does: `check COMMIT of FORK`, `promote COMMIT`, a note, or its last line."""
    try:
        if events.command(job) != "promote":
            check = settings.from_environment(job).check
            source = check.pull_request.head_repository or "a deleted fork"
            return f"check {check.commit[:4]}{f' of {source}' if check.pull_request.is_fork else ''}"
        merged, notes = event_context.merges(job)
        found = [settings.from_environment(job, event=event, promotes=True).check for event in merged]
        return "; ".join(
            [*notes, *(f"promote {check.merge_commit[:4]} of #{check.pull_request.number}" for check in found)]
        )
    except UsageError as error:
        assert "\n" not in str(error)
        return str(error)


@pytest.mark.parametrize(
    ("name", "event", "decided"),
    [
        pytest.param("pull_request", pull(), "check cccc", id="opened"),
        pytest.param("pull_request", pull(user=None), "check cccc", id="author's account deleted"),
        pytest.param("pull_request_target", pull(head=side(FORK)), "check cccc of ada/digits", id="fork"),
        pytest.param("pull_request", pull(head=side(None)), "check cccc of a deleted fork", id="fork deleted"),
        pytest.param(
            "pull_request", pull(head={**side(FORK), "user": None}), "check cccc of ada/digits", id="owner gone"
        ),
        pytest.param("pull_request", pull("converted_to_draft", draft=True), "check cccc", id="draft"),
        pytest.param("pull_request", pull("synchronize"), "check cccc", id="synchronize"),
        pytest.param("pull_request", pull("edited", merge_commit_sha=None), "check cccc", id="not mergeable"),
        pytest.param(
            "pull_request", {**pull("labeled"), "label": None}, "check cccc", id="label deleted in the meantime"
        ),
        pytest.param("pull_request", pull("closed", **MERGED), "promote dddd of #7", id="merged"),
        pytest.param(
            "pull_request", pull("closed", **MERGED, head=side(None)), "promote dddd of #7", id="merged, fork gone"
        ),
        pytest.param(
            "pull_request",
            pull("closed", **MERGED, merge_commit_sha=None),
            "the event of pull request #7 names no merge commit yet: run this job again",
            id="merged without its commit",
        ),
        pytest.param("pull_request", pull("closed"), "pull request #7 was closed without a merge", id="closed"),
        pytest.param(
            "pull_request",
            pull("closed", **MERGED, base={**PULL["base"], "ref": "v1"}),
            "was merged into 'v1'",
            id="merged elsewhere",
        ),
        pytest.param("push", push(), "GITHUB_TOKEN is not set", id="push"),
        pytest.param("push", push(commits=[], head_commit=None), "GITHUB_TOKEN is not set", id="push without commits"),
        pytest.param("push", push(ref="refs/tags/v1"), "the push of 'refs/tags/v1' moves no branch", id="tag"),
        pytest.param(
            "push", push(after="0" * 40, deleted=True, head_commit=None), "moves no branch", id="branch deleted"
        ),
        pytest.param("push", push(ref="refs/heads/v1"), "is about another branch", id="push elsewhere"),
        pytest.param(
            "issue_comment",
            {"action": "created", "issue": {"number": 7, "pull_request": {"url": "u"}}},
            "the event 'issue_comment' is no pull request",
            id="comment",
        ),
        pytest.param(
            "merge_group",
            {"action": "checks_requested", "merge_group": {"head_sha": HEAD}},
            "the event 'merge_group' is no pull request",
            id="merge queue",
        ),
        pytest.param(
            "workflow_dispatch",
            {"inputs": None, "ref": "refs/heads/main", "workflow": "w.yml"},
            "the event 'workflow_dispatch' is no pull request",
            id="by hand",
        ),
        pytest.param(
            "pull_request", {"zen": "z", "hook_id": 1}, "the event 'pull_request' is no pull request", id="ping"
        ),
        pytest.param("pull_request", [], "the event 'pull_request' is no pull request", id="list"),
        pytest.param("pull_request", None, "the event 'pull_request' is no pull request", id="null"),
        pytest.param(
            "pull_request", {**pull(), "repository": None}, "the event names no repository", id="no repository"
        ),
        pytest.param("push", push(repository=None), "the event names no repository", id="push without repository"),
        pytest.param("pull_request", pull(number=None), "start the job by an event of GitHub's", id="no number"),
        pytest.param("pull_request", pull(number=True), "names no number", id="number is true"),
        pytest.param("pull_request", pull(number=10**6000), "GITHUB_EVENT_PATH", id="number of 6,000 digits"),
        pytest.param("pull_request", pull(head=None), "pull_request.head.sha of the event is empty", id="no head"),
        pytest.param(
            "pull_request",
            pull(head={**side(OURS), "sha": HEAD[:7]}),
            "pull_request.head.sha of the event is",
            id="short hash",
        ),
    ],
)
def test_event__as_github_sends_it__ends_in_the_decision_or_in_one_line(
    tmp_path: Path, name: str, event: object, decided: str
) -> None:
    assert decided in decision(environ(tmp_path, name, dumped(event)))


def dumped(event: object) -> str:
    """As JSON; Python itself refuses to write, and to read, a number of thousands of digits."""
    if isinstance(event, dict) and (event.get("pull_request") or {}).get("number") == 10**6000:
        return json.dumps({**event, "pull_request": {**event["pull_request"], "number": 0}}).replace(
            '"number": 0', f'"number": 1{"0" * 6000}'
        )
    return json.dumps(event)


@pytest.mark.parametrize("text", ["", "{", "\ufeff{}", "[" * 99_999, '{"pull_request":' * 99_999, "NaN", "\x00"])
def test_event__text_that_is_no_event__is_one_line(tmp_path: Path, text: str) -> None:
    assert "GITHUB_EVENT_PATH" in (said := decision(environ(tmp_path, "pull_request", text))) or "is no pull" in said


ODD: tuple[Any, ...] = (None, [], {}, True, 10**30, "\u202e\n", ["x"])


def altered(event: Any) -> Iterator[Any]:
    """The event with each of its values in turn missing, or replaced by each odd one."""
    for path in paths(event):
        for odd in (*ODD, "missing"):
            other = copy.deepcopy(event)
            at = other
            for key in path[:-1]:
                at = at[key]
            if odd == "missing":
                del at[path[-1]]
            else:
                at[path[-1]] = odd
            yield other


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield (*above, key)
        yield from paths(below, (*above, key))


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("pull_request", pull(head=side(FORK))),
        ("pull_request", pull("closed", **MERGED)),
        ("push", push()),
    ],
    ids=["opened", "merged", "push"],
)
def test_event__any_value_odd_or_missing__never_ends_in_a_traceback(tmp_path: Path, name: str, event: object) -> None:
    for odd in altered(event):
        job = environ(tmp_path, name, json.dumps(odd))
        try:
            decision(job)
            agent_code.of_agents(configured_repository="", configured_commit="f" * 40, environ=job)
        except (UsageError, GitHubError):
            continue


@pytest.mark.parametrize(
    ("title", "shown"),
    [("Fix\tit", "Fix it"), ("a\u202eb", "a\ufffdb"), (f"use {'ghp_' + 'a' * 36}", "use ***"), (None, ""), (7, "")],
    ids=["spaces", "direction", "secret", "none", "number"],
)
def test_title__of_a_pull_request__travels_without_secrets_and_control_characters(
    tmp_path: Path, title: object, shown: str
) -> None:
    job = environ(tmp_path, "pull_request", json.dumps(pull(title=title)))
    arguments = settings.from_environment(job).check.to_arguments()
    assert json.loads(arguments["_context"])["title"] == shown
