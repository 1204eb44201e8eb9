"""Authentication and permissions, the same for every endpoint: the token, its repository, its user's role."""

import re
import time

from flask import current_app, g, request

from sandbox.servers.github_server import errors, git
from sandbox.servers.github_server.store import Issue, Pull, Repository, Store, Token

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
# GitHub documents this for comments, labels and edits: at least one of the two.
EITHER = ("issues", "pull_requests")
_HASH = re.compile(r"[0-9a-f]{40}")
_SPELLINGS = {"pull": "read", "push": "write"}


def store() -> Store:
    held: Store = current_app.config["store"]
    return held


def token() -> Token:
    held: Token = g.token
    return held


def login() -> str:
    """Return the token's login; "" on the pages and for payloads of events."""
    held: Token | None = g.get("token")
    return held.login if held else ""


def authenticate() -> None:
    """Refuse a call without a token that was minted here."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    known = store().tokens.get(value.strip()) if scheme.lower() in ("token", "bearer") else None
    if known is None or (known.expires is not None and known.expires <= time.time()):
        raise errors.ApiError(401, "Bad credentials" if scheme else "Requires authentication")
    g.token = known


def person() -> Token:
    """Return the token of a user; refuse those of workflows and Apps."""
    if token().kind != "personal":
        raise errors.forbidden(token().kind)
    return token()


def repository(owner: str, name: str) -> Repository:
    """Return the repository. One that the token cannot see is 404, as if it did not exist."""
    found = store().repositories.get(f"{owner}/{name}".lower())
    if found is None or (found.private and not _sees(found)):
        raise errors.not_found()
    return found


def _sees(repo: Repository) -> bool:
    return token().covers(repo) and (token().kind != "personal" or role(repo, token().login) != "none")


def role(repo: Repository, login: str) -> str:
    if login.lower() == repo.owner.lower():
        return "admin"
    given = repo.collaborators.get(login.lower(), "none" if repo.private else "read")
    return _SPELLINGS.get(given, given)


def reaches(repo: Repository, least: str) -> bool:
    """Workflows and Apps have no role: their permissions are all that counts."""
    return token().kind != "personal" or ROLES.index(role(repo, token().login)) >= ROLES.index(least)


def need_read(repo: Repository, *permissions: str) -> None:
    """Public repositories are read with any token, private ones with one of these permissions."""
    if repo.private and not any(token().may(permission, "read") for permission in permissions):
        raise errors.forbidden(token().kind)


def need_write(repo: Repository, *permissions: str, least: str = "write") -> None:
    """Refuse a token without one of these permissions, and a user whose role is below `least`."""
    if not token().covers(repo) or not any(token().may(permission, "write") for permission in permissions):
        raise errors.forbidden(token().kind)
    if not reaches(repo, least):
        raise errors.not_allowed()


def issue(repo: Repository, number: int) -> Issue:
    found = repo.issues.get(number)
    if found is None:
        raise errors.not_found()
    return found


def pull(repo: Repository, number: int) -> Pull:
    """The pull request with its head as its branch stands now; the base keeps it as refs/pull/N/head."""
    found = repo.pulls.get(number)
    if found is None:
        raise errors.not_found()
    refresh(store(), repo, found)
    return found


def refresh(held: Store, repo: Repository, pull: Pull) -> None:
    """A closed pull request stays as it was; so does one whose branch or fork is gone."""
    head = held.repositories.get(pull.head_repository or "")
    if head is None or pull.issue.state == "closed":
        return
    sha = git.find(head.path, f"refs/heads/{pull.head_branch}")
    if sha in (None, pull.head_sha):
        return
    git.fetch(repo.path, source=head.path, branch=pull.head_branch, ref=f"refs/pull/{pull.issue.number}/head")
    pull.previous_head_sha, pull.head_sha = pull.head_sha, sha or ""
    pull.base_sha = git.find(repo.path, f"refs/heads/{pull.base_branch}") or pull.base_sha


def commit(repo: Repository, ref: str) -> str:
    """The hash of a commit, a branch or a tag."""
    found = find(repo, ref)
    if found is None:
        raise errors.ApiError(422, f"No commit found for SHA: {ref}")
    return found


def find(repo: Repository, ref: str) -> str | None:
    """The same, or None. A repository and its forks share their commits, as on GitHub; branches and tags they do not.

    https://docs.github.com/get-started/learning-about-github/about-forks (a repository network)
    """
    if _HASH.fullmatch(ref):
        return git.find(repo.path, ref) or _fetched(repo, ref)
    for pull in repo.pulls.values():
        refresh(store(), repo, pull)
    return git.find(repo.path, ref)


def _fetched(repo: Repository, sha: str) -> str | None:
    for relative in _network(repo):
        if git.find(relative.path, sha):
            git.fetch_commit(repo.path, source=relative.path, sha=sha)
            return sha
    return None


def _network(repo: Repository) -> list[Repository]:
    root = repo.fork_of or repo.full_name
    return [relative for relative in store().repositories.values() if root in (relative.full_name, relative.fork_of)]
