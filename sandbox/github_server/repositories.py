"""Repositories, forks, code at a ref, compare, collaborators."""

import base64
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.github_server import access, git, refusals, shapes
from sandbox.github_server.store import Repository

blueprint = Blueprint("repositories", __name__)
Answer = Response | tuple[Response, int]


@blueprint.get("/user")
def get_user() -> Answer:
    """Workflow and App tokens are not a user's: the real GitHub refuses them with 403."""
    if access.token().kind != "personal":
        raise refusals.forbidden(access.token().kind)
    return jsonify(shapes.user(access.token().login))


@blueprint.get("/users/<login>")
def get_user_by_name(login: str) -> Answer:
    return jsonify(shapes.user(login))


@blueprint.get("/rate_limit")
def rate_limit() -> Answer:
    core = {"limit": 5000, "remaining": 5000, "reset": 2_000_000_000, "used": 0}
    return jsonify({"resources": {"core": core, "search": core, "graphql": core}, "rate": core})


@blueprint.post("/user/repos")
def create_repository() -> Answer:
    if access.token().kind != "personal":
        raise refusals.forbidden(access.token().kind)
    name = access.text(access.body(), "Repository", "name")
    made = _add(access.token().login, name)
    git.create(made.path)
    return jsonify(shapes.repository(made)), 201


@blueprint.get("/repos/<owner>/<name>")
def get_repository(owner: str, name: str) -> Answer:
    return jsonify(shapes.repository(access.repository(owner, name)))


@blueprint.post("/repos/<owner>/<name>/forks")
def create_fork(owner: str, name: str) -> Answer:
    source = access.repository(owner, name)
    made = _add(access.token().login, name, fork_of=source.full_name)
    git.fork(source.path, made.path)
    return jsonify(shapes.repository(made)), 202


@blueprint.delete("/repos/<owner>/<name>")
def delete_repository(owner: str, name: str) -> Answer:
    """A deleted fork leaves its pull requests without a head repository."""
    gone = access.repository(owner, name)
    if access.token().login != gone.owner:
        raise refusals.RefusalError(403, "Must have admin rights to Repository.")
    del access.store().repositories[gone.full_name.lower()]
    for repo in access.store().repositories.values():
        for pull in repo.pulls.values():
            if pull.head_repository == gone.full_name.lower():
                pull.head_repository = None
    return Response(status=204)


@blueprint.get("/repos/<owner>/<name>/collaborators/<login>/permission")
def permission(owner: str, name: str, login: str) -> Answer:
    repo = access.repository(owner, name)
    role = "admin" if login == repo.owner else repo.collaborators.get(login, "none")
    return jsonify({"permission": role, "role_name": role, "user": shapes.user(login)})


@blueprint.put("/repos/<owner>/<name>/collaborators/<login>")
def add_collaborator(owner: str, name: str, login: str) -> Answer:
    access.repository(owner, name).collaborators[login] = access.body().get("permission", "write")
    return Response(status=204)


@blueprint.get("/repos/<owner>/<name>/commits/<ref>")
def get_commit(owner: str, name: str, ref: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "contents")
    return jsonify(shapes.commit(repo, access.commit(repo, ref)))


@blueprint.get("/repos/<owner>/<name>/branches/<path:branch>")
def get_branch(owner: str, name: str, branch: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "contents")
    try:
        sha = git.commit(repo.path, f"refs/heads/{branch}")
    except git.GitError as error:
        raise refusals.RefusalError(404, "Branch not found") from error
    return jsonify({"name": branch, "commit": shapes.commit(repo, sha), "protected": False})


@blueprint.get("/repos/<owner>/<name>/compare/<path:spec>")
def compare(owner: str, name: str, spec: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "contents")
    ends = spec.split("...")
    if len(ends) != 2:
        raise refusals.not_found()
    base, head = (access.commit(repo, end.split(":")[-1]) for end in ends)
    return jsonify(_comparison(repo, base, head))


def _comparison(repo: Repository, base: str, head: str) -> dict[str, Any]:
    ahead, behind = git.between(repo.path, base, head), git.between(repo.path, head, base)
    state = {(0, 0): "identical", (1, 0): "ahead", (0, 1): "behind"}.get((bool(ahead), bool(behind)), "diverged")
    return {
        "url": request.base_url,
        "status": state,
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "base_commit": shapes.commit(repo, base),
        "merge_base_commit": shapes.commit(repo, git.merge_base(repo.path, base, head)),
        "commits": [shapes.commit(repo, sha) for sha in ahead],
        "files": [{"filename": file, "status": word} for file, word in git.changed_files(repo.path, base, head)],
    }


@blueprint.get("/repos/<owner>/<name>/contents/", defaults={"path": ""})
@blueprint.get("/repos/<owner>/<name>/contents/<path:path>")
def contents(owner: str, name: str, path: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "contents")
    try:
        ref = git.commit(repo.path, request.args.get("ref", "main"))
        entries = git.listing(repo.path, ref, path)
    except git.GitError as error:
        raise refusals.not_found() from error
    if [entry[2] for entry in entries] == [path]:
        return jsonify(_file(repo, *entries[0], whole=True))
    return jsonify([_file(repo, *entry, whole=False) for entry in entries])


def _file(repo: Repository, kind: str, sha: str, path: str, *, whole: bool) -> dict[str, Any]:
    shape = {
        "type": "dir" if kind == "tree" else "file",
        "name": path.split("/")[-1],
        "path": path,
        "sha": sha,
        "url": f"{shapes.api()}/repos/{repo.full_name}/contents/{path}",
    }
    if not whole:
        return shape
    content = git.blob(repo.path, sha)
    return {**shape, "size": len(content), "encoding": "base64", "content": base64.b64encode(content).decode()}


def _add(owner: str, name: str, *, fork_of: str | None = None) -> Repository:
    held = access.store()
    key = f"{owner}/{name}".lower()
    if key in held.repositories:
        raise refusals.invalid("Repository", "name", message="name already exists on this account")
    repo = Repository(held.new_id(), owner, name, held.directory / owner / f"{name}.git", fork_of)
    held.repositories[key] = repo
    return repo
