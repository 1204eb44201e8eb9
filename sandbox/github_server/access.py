"""Who asks, for which repository, and may they? The same for every endpoint."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask import Response, current_app, g, jsonify, request
from werkzeug.exceptions import BadRequest

from sandbox.github_server import git, refusals
from sandbox.github_server.store import OWNER, Issue, Pull, Repository, Store, Token

T = TypeVar("T")
BODY_LIMIT = 65_536  # characters of an issue's, a pull request's or a comment's body


def store() -> Store:
    held: Store = current_app.config["store"]
    return held


def token() -> Token:
    held: Token = g.token
    return held


def authenticate() -> None:
    """Every call carries a token that was minted here."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    known = store().tokens.get(value) if scheme.lower() in ("token", "bearer") else None
    if known is None:
        raise refusals.RefusalError(401, "Bad credentials" if scheme else "Requires authentication")
    g.token = known


def repository(owner: str, name: str) -> Repository:
    """The repository, where the token can see it: another one's is 404, as the real GitHub hides private ones."""
    found = store().repositories.get(f"{owner}/{name}".lower())
    bound = token().repository
    if found is None or (bound and bound.lower() != found.full_name.lower() and bound != found.fork_of):
        raise refusals.not_found()
    return found


def need(level: str, *permissions: str) -> None:
    """Refuse a token that has none of these permissions."""
    if not any(token().may(permission, level) for permission in permissions):
        raise refusals.forbidden(token().kind)


def has_write(repo: Repository, login: str) -> bool:
    return login in (repo.owner, OWNER) or repo.collaborators.get(login) in ("write", "maintain", "admin")


def issue(repo: Repository, number: int) -> Issue:
    found = repo.issues.get(number)
    if found is None:
        raise refusals.not_found()
    return found


def pull(repo: Repository, number: int) -> Pull:
    """The pull request with its head as its branch stands now; the base keeps it as refs/pull/N/head."""
    found = repo.pulls.get(number)
    if found is None:
        raise refusals.not_found()
    refresh(repo, found)
    return found


def refresh(repo: Repository, one: Pull) -> None:
    head = store().repositories.get(one.head_repository or "")
    if head is None or one.issue.state == "closed":
        return
    try:
        sha = git.commit(head.path, f"refs/heads/{one.head_branch}")
    except git.GitError:
        return  # the branch was deleted: the last commit stays
    if sha != one.head_sha:
        git.fetch(repo.path, source=head.path, branch=one.head_branch, ref=f"refs/pull/{one.issue.number}/head")
        one.head_sha = sha


def body() -> dict[str, Any]:
    """The JSON object of the request."""
    try:
        found = request.get_json(force=True)
    except BadRequest as error:
        raise refusals.RefusalError(400, "Problems parsing JSON") from error
    if not isinstance(found, dict):
        raise refusals.RefusalError(400, "Body should be a JSON object")
    return found


def text(given: dict[str, Any], resource: str, field: str) -> str:
    """A required text; a body is limited in length."""
    value = given.get(field)
    if not isinstance(value, str) or not value.strip():
        raise refusals.invalid(resource, field, code="missing_field")
    if field == "body" and len(value) > BODY_LIMIT:
        raise refusals.invalid(resource, field, message="body is too long (maximum is 65536 characters)")
    return value


def commit(repo: Repository, ref: str) -> str:
    """The hash of a commit, a branch or a tag; an unknown one is refused as the real one does."""
    try:
        return git.commit(repo.path, ref)
    except git.GitError as error:
        raise refusals.RefusalError(422, f"No commit found for SHA: {ref}") from error


def page(found: Sequence[T], shape: Callable[[T], Any]) -> Response:
    """One page of a list, with GitHub's Link header."""
    size = max(1, min(request.args.get("per_page", 30, int), 100))
    number = max(1, request.args.get("page", 1, int))
    response = jsonify([shape(one) for one in found[(number - 1) * size : number * size]])
    links = _links(number, max(1, math.ceil(len(found) / size)))
    if links:
        response.headers["Link"] = ", ".join(f'<{_at(page)}>; rel="{rel}"' for rel, page in links.items())
    return response


def _links(number: int, last: int) -> dict[str, int]:
    back = {"prev": number - 1, "first": 1} if number > 1 else {}
    ahead = {"next": number + 1, "last": last} if number < last else {}
    return {**back, **ahead}


def _at(number: int) -> str:
    others = "".join(f"{name}={value}&" for name, value in request.args.items() if name != "page")
    return f"{request.base_url}?{others}page={number}"
