"""Commit statuses and check runs."""

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.servers.github_server import access, errors, request_parsing, shapes
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
    given = request_parsing.body()
    _accept(given)
    status = Status(
        id=access.store().new_id(),
        author=access.token().login,
        sha=access.commit(repo, sha),
        state=given["state"],
        context=request_parsing.text(given, "context", "default") or "default",
        description=request_parsing.text(given, "description"),
        target_url=request_parsing.text(given, "target_url"),
    )
    repo.statuses.append(status)
    return jsonify(shapes.status(repo, status)), 201


def _may_set_status(repo: Repository) -> None:
    if not access.reaches(repo, "write"):  # GitHub answers a user who cannot push as if the address did not exist
        raise errors.not_found()
    access.need_write(repo, "statuses")


def _accept(given: dict[str, Any]) -> None:
    [state] = request_parsing.required(given, "state")
    if state not in STATES:
        raise errors.invalid("Status", "state", code="custom", message="state is not included in the list")
    if len(request_parsing.text(given, "description")) > DESCRIPTION_LIMIT:
        message = f"description is too long (maximum is {DESCRIPTION_LIMIT} characters)"
        raise errors.invalid("Status", "description", code="custom", message=message)
    if not request_parsing.text(given, "target_url", "http:").startswith(("http:", "https:")):
        message = "target_url must use http(s) scheme"
        raise errors.invalid("Status", "target_url", code="custom", message=message)


@blueprint.get("/commits/<path:sha>/statuses")
@blueprint.get("/statuses/<sha>")
def list_statuses(owner: str, name: str, sha: str) -> Answer:
    """Newest first."""
    repo = access.repository(owner, name)
    access.need_read(repo, "statuses")
    commit = access.commit(repo, sha)
    found = [status for status in reversed(repo.statuses) if status.sha == commit]
    return request_parsing.page(found, lambda status: shapes.status(repo, status))


@blueprint.get("/commits/<path:sha>/status")
def combined_status(owner: str, name: str, sha: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_read(repo, "statuses")
    commit = access.commit(repo, sha)
    newest = latest_statuses(repo, commit)
    url = shapes.link(repo, commit)["url"]
    response = request_parsing.page(newest, lambda status: shapes.status(repo, status), key="statuses")
    response.set_data(
        json.dumps(
            {
                **response.get_json(),
                "state": combined(newest),
                "sha": commit,
                "repository": shapes.repository(repo),
                "commit_url": url,
                "url": f"{url}/status",
            }
        )
    )
    return response


def combined(newest: list[Status]) -> str:
    states = {status.state for status in newest}
    if states & {"failure", "error"}:
        return "failure"
    return "pending" if "pending" in states or not states else "success"


def latest_statuses(repo: Repository, sha: str) -> list[Status]:
    """The newest status of each context."""
    return list({status.context.lower(): status for status in repo.statuses if status.sha == sha}.values())


@blueprint.post("/check-runs")
def create_check_run(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    _need_app(repo)
    given = request_parsing.body()
    called, head_sha = request_parsing.required(given, "name", "head_sha")
    run = CheckRun(
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
    _change(run, given)
    repo.checks.append(run)
    return jsonify(shapes.check_run(repo, run)), 201


@blueprint.patch("/check-runs/<int:number>")
def update_check_run(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    _need_app(repo)
    run = _found(repo, number)
    if run.author != access.token().login:
        message = "Invalid app_id - check run can only be modified by the GitHub App that created it."
        raise errors.ApiError(403, message)
    _change(run, request_parsing.body())
    return jsonify(shapes.check_run(repo, run))


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
    commit, filters = access.commit(repo, sha), request.args
    runs = [run for run in repo.checks if run.sha == commit]
    found = [
        run
        for run in (runs if filters.get("filter") == "all" else latest_checks(runs))
        if filters.get("check_name", run.name) == run.name and filters.get("status", run.status) == run.status
    ]
    return request_parsing.page(found, lambda run: shapes.check_run(repo, run), key="check_runs")


def latest_checks(runs: list[CheckRun]) -> list[CheckRun]:
    return list({(run.author, run.name): run for run in runs}.values())


def _need_app(repo: Repository) -> None:
    """The Checks API writes for Apps and workflow tokens only."""
    if access.token().kind == "personal":
        raise errors.ApiError(403, "You must authenticate via a GitHub App.")
    access.need_write(repo, "checks")


def _found(repo: Repository, number: int) -> CheckRun:
    for run in repo.checks:
        if run.id == number:
            return run
    raise errors.not_found()


def _change(run: CheckRun, given: dict[str, Any]) -> None:
    """A conclusion completes a run; what the request leaves out stays."""
    output = _output(given)
    status, conclusion = _standing(run, given)
    run.status, run.conclusion = status, conclusion
    run.completed = (
        request_parsing.text(given, "completed_at", run.completed or now()) if status == "completed" else None
    )
    run.name = request_parsing.text(given, "name", run.name)
    run.details_url = request_parsing.text(given, "details_url", run.details_url)
    run.external_id = request_parsing.text(given, "external_id", run.external_id)
    run.started = request_parsing.text(given, "started_at", run.started)
    run.annotations += len(output.pop("annotations", []))
    run.output = {**run.output, **output}


def _standing(run: CheckRun, given: dict[str, Any]) -> tuple[str, str | None]:
    status, conclusion = request_parsing.text(given, "status", run.status), given.get("conclusion")
    if status not in (*RUNNING, "completed"):
        raise errors.invalid("CheckRun", "status")
    if conclusion is not None and conclusion not in CONCLUSIONS:
        raise errors.invalid("CheckRun", "conclusion")
    if conclusion is None and status == "completed" and run.conclusion is None:
        raise errors.not_supplied(["conclusion"])
    if conclusion is None and status != "completed":
        return status, None
    return "completed", conclusion or run.conclusion


def _output(given: dict[str, Any]) -> dict[str, Any]:
    output = given.get("output")
    if output is None:
        return {}
    if not isinstance(output, dict):
        raise errors.wrong_type("output", output)
    request_parsing.required(output, "title", "summary")
    for field in ("summary", "text"):
        _short_enough(field, request_parsing.text(output, field))
    return {key: output[key] for key in ("title", "summary", "text", "annotations") if output.get(key)}


def _short_enough(field: str, text: str) -> None:
    """Characters are counted first, then bytes: https://github.com/github/docs/issues/35252."""
    if len(text) > OUTPUT_LIMIT:
        message = f"Invalid request.\n\nOnly {OUTPUT_LIMIT} characters are allowed; {len(text)} were supplied."
        raise errors.ApiError(422, message)
    if len(text.encode()) > OUTPUT_LIMIT:
        message = f"{field} exceeds a maximum bytesize of {OUTPUT_LIMIT}"
        raise errors.invalid("CheckRun", field, code="custom", message=message)
