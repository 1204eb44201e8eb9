"""Accounts, repositories, forks and collaborators."""

import shutil

from flask import Blueprint, Response, jsonify

from sandbox.servers.github_server import access, errors, git, request_parsing, shapes
from sandbox.servers.github_server.store import LABELS, Label, Repository

blueprint = Blueprint("repositories", __name__)
Answer = Response | tuple[Response, int]


@blueprint.get("/user")
def get_user() -> Answer:
    """Workflow and App tokens are not a user's: the real GitHub refuses them with 403."""
    return jsonify(shapes.user(access.person().login))


@blueprint.get("/users/<login>")
def get_user_by_name(login: str) -> Answer:
    if not access.store().known(login):
        raise errors.not_found()
    return jsonify(shapes.user(login))


@blueprint.get("/rate_limit")
def rate_limit() -> Answer:
    core = {"limit": 5000, "remaining": 5000, "reset": 2_000_000_000, "used": 0}
    return jsonify({"resources": {"core": core, "search": core, "graphql": core}, "rate": core})


@blueprint.get("/user/repos")
def list_repositories() -> Answer:
    mine = access.person().login.lower()
    found = [repo for repo in access.store().repositories.values() if repo.owner.lower() == mine]
    return request_parsing.page(found, shapes.repository)


@blueprint.post("/user/repos")
def create_repository() -> Answer:
    login, given = access.person().login, request_parsing.body()
    [name] = request_parsing.required(given, "name")
    made = _add(login, name)
    made.private, made.description = bool(given.get("private")), given.get("description")
    git.create(made.path)
    return jsonify(shapes.repository(made, whole=True)), 201


@blueprint.get("/repos/<owner>/<name>")
def get_repository(owner: str, name: str) -> Answer:
    return jsonify(shapes.repository(access.repository(owner, name), whole=True))


@blueprint.patch("/repos/<owner>/<name>")
def edit_repository(owner: str, name: str) -> Answer:
    repo = _administered(owner, name)
    given = request_parsing.body()
    repo.private = bool(given.get("private", repo.private))
    repo.description = given.get("description", repo.description)
    branch = request_parsing.text(given, "default_branch", repo.default_branch)
    if branch != repo.default_branch:
        if git.find(repo.path, f"refs/heads/{branch}") is None:
            raise errors.invalid("Repository", "default_branch")
        git.run(repo.path, "symbolic-ref", "HEAD", f"refs/heads/{branch}")
        repo.default_branch = branch
    return jsonify(shapes.repository(repo, whole=True))


@blueprint.delete("/repos/<owner>/<name>")
def delete_repository(owner: str, name: str) -> Answer:
    """A deleted fork leaves its pull requests without a head repository."""
    gone = _administered(owner, name)
    key = gone.full_name.lower()
    for repo in access.store().repositories.values():
        for pull in repo.pulls.values():
            if pull.head_repository == key:
                access.refresh(access.store(), repo, pull)
                pull.head_repository = None
    del access.store().repositories[key]
    shutil.rmtree(gone.path)
    return Response(status=204)


def _administered(owner: str, name: str) -> Repository:
    repo = access.repository(owner, name)
    access.need_write(repo, "administration", least="admin")
    return repo


@blueprint.get("/repos/<owner>/<name>/forks")
def list_forks(owner: str, name: str) -> Answer:
    source = access.repository(owner, name)
    found = [repo for repo in access.store().repositories.values() if repo.fork_of == source.full_name]
    return request_parsing.page(found, shapes.repository)


@blueprint.post("/repos/<owner>/<name>/forks")
def create_fork(owner: str, name: str) -> Answer:
    """Create a fork, or return the one that the account has."""
    source, login = access.repository(owner, name), access.person().login
    held = access.store().repositories.values()
    made = next((repo for repo in held if repo.fork_of == source.full_name and repo.owner == login), None)
    if made is None:
        made = _add(login, request_parsing.text(request_parsing.body(), "name", source.name), fork_of=source)
        git.fork(source.path, made.path)
    return jsonify(shapes.repository(made, whole=True)), 202


def _add(owner: str, name: str, *, fork_of: Repository | None = None) -> Repository:
    held = access.store()
    path = (held.directory / owner / f"{name}.git").resolve()
    if not name or path.parent != held.directory / owner:
        raise errors.custom("Repository", "name is invalid")
    if f"{owner}/{name}".lower() in held.repositories:
        raise errors.invalid("Repository", "name", code="custom", message="name already exists on this account")
    made = Repository(held.new_id(), owner, name, path, fork_of=fork_of.full_name if fork_of else None)
    made.private, made.default_branch = (fork_of.private, fork_of.default_branch) if fork_of else (False, "main")
    made.labels = {label: Label(held.new_id(), label, color) for label, color in LABELS.items()}
    held.repositories[f"{owner}/{name}".lower()] = made
    return made


@blueprint.get("/repos/<owner>/<name>/collaborators/<login>/permission")
def get_permission(owner: str, name: str, login: str) -> Answer:
    repo = access.repository(owner, name)
    if not access.reaches(repo, "write"):
        raise errors.ApiError(403, "Must have push access to view collaborator permission.")
    if not access.store().known(login) and login.lower() not in repo.collaborators:
        raise errors.ApiError(404, f"{login} is not a user")
    role = access.role(repo, login)
    level = {"triage": "read", "maintain": "write"}.get(role, role)
    return jsonify({"permission": level, "role_name": role, "user": shapes.user(login)})


@blueprint.get("/repos/<owner>/<name>/collaborators/<login>")
def is_collaborator(owner: str, name: str, login: str) -> Answer:
    repo = access.repository(owner, name)
    if login.lower() not in (repo.owner.lower(), *repo.collaborators):
        raise errors.ApiError(404, f"{login} is not a user")
    return Response(status=204)


@blueprint.put("/repos/<owner>/<name>/collaborators/<login>")
def add_collaborator(owner: str, name: str, login: str) -> Answer:
    """Add a collaborator immediately, without an invitation."""
    repo = _administered(owner, name)
    given = request_parsing.text(request_parsing.body(), "permission", "push")
    if given not in ("pull", "triage", "push", "maintain", "admin", "read", "write"):
        raise errors.invalid("Repository", "permission")
    repo.collaborators[login.lower()] = given
    return Response(status=204)


@blueprint.delete("/repos/<owner>/<name>/collaborators/<login>")
def remove_collaborator(owner: str, name: str, login: str) -> Answer:
    _administered(owner, name).collaborators.pop(login.lower(), None)
    return Response(status=204)
