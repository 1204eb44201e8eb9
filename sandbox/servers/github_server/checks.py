"""Commit statuses and check runs."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.servers.github_server import access, incoming, refusals, shapes
from sandbox.servers.github_server.store import CheckRun, Repository, Status, now

blueprint = Blueprint("checks", __name__, url_prefix="/repos/<owner>/<name>")
Answer = Response | tuple[Response, int]
STATES = ("error", "failure", "pending", "success")
DESCRIPTION_LIMIT = 140  # characters
OUTPUT_LIMIT = 65_535  # characters, and bytes, of a check run's summary and of its text
RUNNING = ("queued", "in_progress", "waiting", "requested", "pending")
CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out")


@blueprint.post("/statuses/<sha>")
def create_status(owner: str, name: str, sha: str) -> Answer:
    repo = access.repository(owner, name)
    _may_set_status(repo)
    given = incoming.body()
    _accept(given)
    one = Status(
        id=access.store().new_id(),
        author=access.token().login,
        sha=access.commit(repo, sha),
        state=given["state"],
        context=incoming.text(given, "context", "default") or "default",
        description=incoming.text(given, "description"),
        target_url=incoming.text(given, "target_url"),
    )
    repo.statuses.append(one)
    return jsonify(shapes.status(repo, one)), 201


def _may_set_status(repo: Repository) -> None:
    if not access.reaches(repo, "write"):  # a user who cannot push is told that there is no such address
        raise refusals.not_found()
    access.need_write(repo, "statuses")


def _accept(given: dict[str, Any]) -> None:
    [state] = incoming.required(given, "state")
    if state not in STATES:
        raise refusals.invalid("Status", "state", code="custom", message="state is not included in the list")
    if len(incoming.text(given, "description")) > DESCRIPTION_LIMIT:
        message = f"description is too long (maximum is {DESCRIPTION_LIMIT} characters)"
        raise refusals.invalid("Status", "description", code="custom", message=message)
    if not incoming.text(given, "target_url", "http:").startswith(("http:", "https:")):
        message = "target_url must use http(s) scheme"
        raise refusals.invalid("Status", "target_url", code="custom", message=message)


@blueprint.get("/commits/<path:sha>/statuses")
@blueprint.get("/statuses/<sha>")
def list_statuses(owner: str, name: str, sha: str) -> Answer:
    """Newest first."""
    repo = access.repository(owner, name)
    access.need_read(repo, "statuses")
    commit = access.commit(repo, sha)
    found = [one for one in reversed(repo.statuses) if one.sha == commit]
    return incoming.page(found, lambda one: shapes.status(repo, one))


@blueprint.get("/commits/<path:sha>/status")
def combined_status(owner: str, name: str, sha: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_read(repo, "statuses")
    commit = access.commit(repo, sha)
    newest = latest_statuses(repo, commit)
    return jsonify(
        {
            "state": combined(newest),
            "sha": commit,
            "total_count": len(newest),
            "statuses": [shapes.status(repo, one) for one in newest],
            "repository": shapes.repository(repo),
            "commit_url": shapes.link(repo, commit)["url"],
            "url": f"{shapes.link(repo, commit)['url']}/status",
        }
    )


def combined(newest: list[Status]) -> str:
    states = {one.state for one in newest}
    if states & {"failure", "error"}:
        return "failure"
    return "pending" if "pending" in states or not states else "success"


def latest_statuses(repo: Repository, sha: str) -> list[Status]:
    """The newest status of each context."""
    return list({one.context.lower(): one for one in repo.statuses if one.sha == sha}.values())


@blueprint.post("/check-runs")
def create_check_run(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    _need_app(repo)
    given = incoming.body()
    called, head_sha = incoming.required(given, "name", "head_sha")
    one = CheckRun(
        id=access.store().new_id(),
        author=access.token().login,
        sha=access.commit(repo, head_sha),
        name=called,
        status="queued",
        conclusion=None,
        details_url="",
        external_id="",
        output={},
    )
    _change(one, given)
    repo.checks.append(one)
    return jsonify(shapes.check_run(repo, one)), 201


@blueprint.patch("/check-runs/<int:number>")
def update_check_run(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    _need_app(repo)
    one = _found(repo, number)
    if one.author != access.token().login:
        message = "Invalid app_id - check run can only be modified by the GitHub App that created it."
        raise refusals.RefusalError(403, message)
    _change(one, incoming.body())
    return jsonify(shapes.check_run(repo, one))


@blueprint.get("/check-runs/<int:number>")
def get_check_run(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need_read(repo, "checks")
    return jsonify(shapes.check_run(repo, _found(repo, number)))


@blueprint.get("/commits/<path:sha>/check-runs")
def list_check_runs(owner: str, name: str, sha: str) -> Answer:
    """The newest of each name, or all with `filter=all`."""
    repo = access.repository(owner, name)
    access.need_read(repo, "checks")
    commit, asked = access.commit(repo, sha), request.args
    runs = [one for one in repo.checks if one.sha == commit]
    found = [
        one
        for one in (runs if asked.get("filter") == "all" else latest_checks(runs))
        if asked.get("check_name", one.name) == one.name and asked.get("status", one.status) == one.status
    ]
    return incoming.page(found, lambda one: shapes.check_run(repo, one), key="check_runs")


def latest_checks(runs: list[CheckRun]) -> list[CheckRun]:
    return list({(one.author, one.name): one for one in runs}.values())


def _need_app(repo: Repository) -> None:
    """The Checks API writes for Apps and workflow tokens only."""
    if access.token().kind == "personal":
        raise refusals.RefusalError(403, "You must authenticate via a GitHub App.")
    access.need_write(repo, "checks")


def _found(repo: Repository, number: int) -> CheckRun:
    for one in repo.checks:
        if one.id == number:
            return one
    raise refusals.not_found()


def _change(one: CheckRun, given: dict[str, Any]) -> None:
    """A conclusion completes a run; what the request leaves out stays."""
    output = _output(given)
    status, conclusion = _standing(one, given)
    one.status, one.conclusion = status, conclusion
    one.completed = incoming.text(given, "completed_at", one.completed or now()) if status == "completed" else None
    one.name = incoming.text(given, "name", one.name)
    one.details_url = incoming.text(given, "details_url", one.details_url)
    one.external_id = incoming.text(given, "external_id", one.external_id)
    one.started = incoming.text(given, "started_at", one.started)
    one.annotations += len(output.pop("annotations", []))
    one.output = {**one.output, **output}


def _standing(one: CheckRun, given: dict[str, Any]) -> tuple[str, str | None]:
    status, conclusion = incoming.text(given, "status", one.status), given.get("conclusion")
    if status not in (*RUNNING, "completed"):
        raise refusals.invalid("CheckRun", "status")
    if conclusion is not None and conclusion not in CONCLUSIONS:
        raise refusals.invalid("CheckRun", "conclusion")
    if conclusion is None and status == "completed" and one.conclusion is None:
        raise refusals.not_supplied(["conclusion"])
    if conclusion is None and status != "completed":
        return status, None
    return "completed", conclusion or one.conclusion


def _output(given: dict[str, Any]) -> dict[str, Any]:
    output = given.get("output")
    if output is None:
        return {}
    if not isinstance(output, dict):
        raise refusals.wrong_type("output", output)
    incoming.required(output, "title", "summary")
    for field in ("summary", "text"):
        _short_enough(field, incoming.text(output, field))
    return {key: output[key] for key in ("title", "summary", "text", "annotations") if output.get(key)}


def _short_enough(field: str, text: str) -> None:
    """Characters are counted first, then bytes: https://github.com/github/docs/issues/35252."""
    if len(text) > OUTPUT_LIMIT:
        message = f"Invalid request.\n\nOnly {OUTPUT_LIMIT} characters are allowed; {len(text)} were supplied."
        raise refusals.RefusalError(422, message)
    if len(text.encode()) > OUTPUT_LIMIT:
        message = f"{field} exceeds a maximum bytesize of {OUTPUT_LIMIT}"
        raise refusals.invalid("CheckRun", field, code="custom", message=message)
