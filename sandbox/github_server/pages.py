"""The pages that a person looks at: repositories, a pull request with its conversation and checks, an issue."""

from importlib.resources import files

from flask import Blueprint, Response, abort, render_template

from sandbox.github_server import access, checks, git, rendering
from sandbox.github_server.store import CheckRun, Repository, Status

blueprint = Blueprint("pages", __name__, template_folder="templates")
SIGNS = {"success": "✓", "failure": "✗", "error": "✗", "pending": "●"}


@blueprint.get("/")
def index() -> str:
    repositories = sorted(access.store().repositories.values(), key=lambda repo: repo.full_name)
    return render_template("index.html", repositories=repositories)


@blueprint.get("/<owner>/<name>/pull/<int:number>")
def pull(owner: str, name: str, number: int) -> str:
    repo = _repository(owner, name)
    one = repo.pulls.get(number) or abort(404)
    access.refresh(repo, one)
    return render_template(
        "conversation.html",
        repository=repo,
        issue=one.issue,
        pull=one,
        commits=[git.describe(repo.path, sha) for sha in git.between(repo.path, one.base_branch, one.head_sha)],
        checks=_checks(repo, one.head_sha),
        render=rendering.comment,
    )


@blueprint.get("/<owner>/<name>/issues/<int:number>")
def issue(owner: str, name: str, number: int) -> str:
    repo = _repository(owner, name)
    one = repo.issues.get(number) or abort(404)
    return render_template(
        "conversation.html", repository=repo, issue=one, pull=None, commits=[], checks=[], render=rendering.comment
    )


@blueprint.get("/assets/mermaid.js")
def mermaid() -> Response:
    """From the installed package that ships it; nothing comes from another host."""
    script = files("mermaidx").joinpath("assets/mermaid.js").read_bytes()
    return Response(script, mimetype="text/javascript", headers={"Cache-Control": "max-age=3600"})


def _repository(owner: str, name: str) -> Repository:
    found: Repository = access.store().repositories.get(f"{owner}/{name}".lower()) or abort(404)
    return found


def _checks(repo: Repository, sha: str) -> list[dict[str, str]]:
    runs = [one for one in repo.checks if one.sha == sha]
    return [*(_status_line(one) for one in checks.latest_statuses(repo, sha)), *(_run_line(one) for one in runs)]


def _status_line(one: Status) -> dict[str, str]:
    return {
        "state": one.state,
        "sign": SIGNS[one.state],
        "name": one.context,
        "text": one.description,
        "url": one.target_url,
    }


def _run_line(one: CheckRun) -> dict[str, str]:
    state = {"success": "success", None: "pending", "neutral": "success"}.get(one.conclusion, "failure")
    text = one.output.get("title") or one.conclusion or one.status
    return {"state": state, "sign": SIGNS[state], "name": one.name, "text": text, "url": one.details_url}
