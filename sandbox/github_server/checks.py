"""Commit statuses and check runs."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.github_server import access, refusals, shapes
from sandbox.github_server.store import CheckRun, Repository, Status

blueprint = Blueprint("checks", __name__, url_prefix="/repos/<owner>/<name>")
Answer = Response | tuple[Response, int]
STATES = ("error", "failure", "pending", "success")
CONCLUSIONS = (
    *("action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"),
    None,
)


@blueprint.post("/statuses/<sha>")
def create_status(owner: str, name: str, sha: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("write", "statuses")
    given = access.body()
    if given.get("state") not in STATES:
        raise refusals.invalid("Status", "state")
    description = str(given.get("description") or "")
    if len(description) > 140:
        raise refusals.invalid("Status", "description", message="description is too long (maximum is 140 characters)")
    one = Status(
        id=access.store().new_id(),
        author=access.token().login,
        sha=access.commit(repo, sha),
        state=given["state"],
        context=str(given.get("context") or "default"),
        description=description,
        target_url=str(given.get("target_url") or ""),
    )
    repo.statuses.append(one)
    return jsonify(shapes.status(repo, one)), 201


@blueprint.get("/statuses/<sha>")
@blueprint.get("/commits/<sha>/statuses")
def list_statuses(owner: str, name: str, sha: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "statuses")
    found = [one for one in reversed(repo.statuses) if one.sha == access.commit(repo, sha)]
    return access.page(found, lambda one: shapes.status(repo, one))


@blueprint.get("/commits/<sha>/status")
def combined_status(owner: str, name: str, sha: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "statuses")
    commit = access.commit(repo, sha)
    newest = latest_statuses(repo, commit)
    states = {one.state for one in newest}
    failed, waiting = states & {"failure", "error"}, "pending" in states or not states
    return jsonify(
        {
            "state": "failure" if failed else "pending" if waiting else "success",
            "sha": commit,
            "total_count": len(newest),
            "statuses": [shapes.status(repo, one) for one in newest],
            "repository": shapes.repository(repo),
            "url": request.base_url,
        }
    )


def latest_statuses(repo: Repository, sha: str) -> list[Status]:
    """The newest status of each context."""
    return list({one.context: one for one in repo.statuses if one.sha == sha}.values())


@blueprint.post("/check-runs")
def create_check_run(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    _need_app("write")
    given = access.body()
    one = CheckRun(
        id=access.store().new_id(),
        author=access.token().login,
        sha=access.commit(repo, access.text(given, "CheckRun", "head_sha")),
        name=access.text(given, "CheckRun", "name"),
        status="queued",
        conclusion=None,
        details_url="",
        output={},
    )
    _change(one, given)
    repo.checks.append(one)
    return jsonify(shapes.check_run(repo, one)), 201


@blueprint.patch("/check-runs/<int:number>")
def update_check_run(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    _need_app("write")
    one = _check_run(repo, number)
    _change(one, access.body())
    return jsonify(shapes.check_run(repo, one))


@blueprint.get("/check-runs/<int:number>")
def get_check_run(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "checks")
    return jsonify(shapes.check_run(repo, _check_run(repo, number)))


@blueprint.get("/commits/<sha>/check-runs")
def list_check_runs(owner: str, name: str, sha: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "checks")
    wanted = request.args.get("check_name")
    commit = access.commit(repo, sha)
    found = [one for one in repo.checks if one.sha == commit and wanted in (None, one.name)]
    return jsonify({"total_count": len(found), "check_runs": [shapes.check_run(repo, one) for one in found]})


def _need_app(level: str) -> None:
    """The Checks API writes for Apps and workflow tokens only."""
    if access.token().kind == "personal":
        raise refusals.RefusalError(403, "You must authenticate via a GitHub App.")
    access.need(level, "checks")


def _check_run(repo: Repository, number: int) -> CheckRun:
    for one in repo.checks:
        if one.id == number:
            return one
    raise refusals.not_found()


def _change(one: CheckRun, given: dict[str, Any]) -> None:
    conclusion = given.get("conclusion", one.conclusion)
    if conclusion not in CONCLUSIONS:
        raise refusals.invalid("CheckRun", "conclusion")
    output = {key: str(value) for key, value in (given.get("output") or {}).items()}
    if len(output.get("summary", "")) > 65_535:
        raise refusals.invalid("CheckRun", "summary", message="Only 65535 characters are allowed")
    one.conclusion = conclusion
    one.status = "completed" if conclusion else str(given.get("status") or one.status)
    one.details_url = str(given.get("details_url") or one.details_url)
    one.output = {**one.output, **output}
