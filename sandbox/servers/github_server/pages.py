"""The pages for a browser: repositories, a pull request with its conversation and checks, an issue."""

from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.resources import files

from flask import Blueprint, Response, abort, render_template, request
from werkzeug.exceptions import HTTPException

from sandbox.servers.github_server import access, checks, errors, git, merging, rendering, shapes
from sandbox.servers.github_server.store import CheckRun, Issue, Pull, Repository, Status

blueprint = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/assets")
HEADLINES = {
    "success": "All checks have passed",
    "failure": "Some checks were not successful",
    "pending": "Some checks haven't completed yet",
}
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
# Nothing on a page comes from another host, and no script of a comment's runs; Mermaid styles its own charts.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src data:"
)


@dataclass(frozen=True)
class Check:
    """A commit status or a check run, as a line of the merge box."""

    state: str
    name: str
    text: str
    url: str


@blueprint.after_request
def secure(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY
    return response


@blueprint.app_template_filter()
def ago(moment: str) -> str:
    """Return the age of a UTC timestamp, such as `2 hours ago`."""
    then = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    seconds = (datetime.now(timezone.utc) - then).total_seconds()
    for size, unit in _UNITS:
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "now"


@blueprint.get("/")
def index() -> str:
    repositories = sorted(access.store().repositories.values(), key=lambda repo: repo.full_name)
    return render_template("index.html", repositories=repositories, owner=None)


@blueprint.get("/<owner>/<name>")
@blueprint.get("/<owner>/<name>/pulls")
@blueprint.get("/<owner>/<name>/issues")
def repository(owner: str, name: str) -> str:
    return render_template("index.html", repositories=[_repository(owner, name)], owner=owner)


@blueprint.get("/<owner>/<name>/pull/<int:number>")
def pull(owner: str, name: str, number: int) -> str:
    repo = _repository(owner, name)
    pull_request = repo.pulls.get(number) or abort(404)
    access.refresh(access.store(), repo, pull_request)
    commits = git.between(repo.path, merging.diff_base(repo, pull_request), pull_request.head_sha)
    return _conversation(repo, pull_request.issue, pull_request, commits, _checks(repo, pull_request.head_sha))


@blueprint.get("/<owner>/<name>/issues/<int:number>")
def issue(owner: str, name: str, number: int) -> str:
    repo = _repository(owner, name)
    return _conversation(repo, repo.issues.get(number) or abort(404), None, [], [])


def _conversation(
    repo: Repository, issue: Issue, proposed: Pull | None, commits: list[git.Commit], found: list[Check]
) -> str:
    standing = _standing(found)
    return render_template(
        "conversation.html",
        repository=repo,
        issue=issue,
        pull=proposed,
        state=_state(issue, proposed),
        commits=commits,
        checks=found,
        standing=standing,
        headline=HEADLINES.get(standing, ""),
        clean=proposed is not None and issue.state == "open" and merging.trial(repo, proposed) is not None,
        history=sorted([*issue.events, *issue.comments], key=lambda entry: entry.id),
        render=rendering.comment,
    )


def _state(issue: Issue, proposed: Pull | None) -> str:
    if proposed and proposed.merge:
        return "Merged"
    if issue.state == "closed":
        return "Closed"
    return "Draft" if proposed and proposed.draft else "Open"


@blueprint.get("/<owner>/<name>/commit/<sha>")
def commit(owner: str, name: str, sha: str) -> str:
    repo = _repository(owner, name)
    full = git.find(repo.path, sha) or abort(404)
    return render_template(
        "commit.html",
        repository=repo,
        commit=git.commit(repo.path, full),
        checks=_checks(repo, full),
        patch=git.run(repo.path, "show", "--format=", "--no-ext-diff", "--no-textconv", full),
    )


@blueprint.get("/<owner>/<name>/runs/<int:number>")
def run(owner: str, name: str, number: int) -> str:
    repo = _repository(owner, name)
    check_run = next((held for held in repo.checks if held.id == number), None) or abort(404)
    return render_template(
        "run.html", repository=repo, run=check_run, line=_run_line(repo, check_run), render=rendering.comment
    )


@blueprint.get("/assets/mermaid.js")
def mermaid() -> Response:
    """From the installed package that ships it; nothing comes from another host."""
    script = files("mermaidx").joinpath("assets/mermaid.js").read_bytes()
    return Response(script, mimetype="text/javascript", headers={"Cache-Control": "max-age=3600"})


def unknown(error: HTTPException) -> Response:
    """Answer an unknown address: with JSON below the API, else with a page."""
    if request.path.startswith((shapes.API, "/_sandbox/")):
        found = error.code in (404, 405)
        status = 404 if found else error.code or 500
        return errors.ApiError(status, "Not Found" if found else "Server Error").response()
    return Response(render_template("unknown.html"), status=error.code)


def _repository(owner: str, name: str) -> Repository:
    found: Repository = access.store().repositories.get(f"{owner}/{name}".lower()) or abort(404)
    return found


def _checks(repo: Repository, sha: str) -> list[Check]:
    runs = checks.latest_checks([run for run in repo.checks if run.sha == sha])
    return [*(_run_line(repo, run) for run in runs), *map(_status_line, checks.latest_statuses(repo, sha))]


def _standing(found: list[Check]) -> str:
    """Return the worst state, or "" without checks."""
    states = {check.state for check in found}
    return next((state for state in ("failure", "pending", "success") if state in states), "")


def _status_line(status: Status) -> Check:
    state = "failure" if status.state == "error" else status.state
    return Check(state, status.context, status.description, status.target_url)


def _run_line(repo: Repository, run: CheckRun) -> Check:
    known = {"success": "success", "neutral": "success", "skipped": "success", None: "pending"}
    state = known.get(run.conclusion, "failure")
    url = run.details_url or f"/{repo.full_name}/runs/{run.id}"
    return Check(state, run.name, run.output.get("title") or run.conclusion or run.status, url)
