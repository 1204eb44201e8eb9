"""Who asks, for which repository, and may they? The same for every endpoint."""

import re
import time

from flask import current_app, g, request

from sandbox.servers.github_server import git, refusals
from sandbox.servers.github_server.store import Issue, Pull, Repository, Store, Token

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
# What GitHub documents for comments, labels and edits: at least one of the two.
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
    """Who acts; nobody on the pages and for payloads of events."""
    held: Token | None = g.get("token")
    return held.login if held else ""


def authenticate() -> None:
    """Every call carries a token that was minted here."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    known = store().tokens.get(value.strip()) if scheme.lower() in ("token", "bearer") else None
    if known is None or (known.expires is not None and known.expires <= time.time()):
        raise refusals.RefusalError(401, "Bad credentials" if scheme else "Requires authentication")
    g.token = known


def person() -> Token:
    """The token of a user; those of workflows and Apps are refused."""
    if token().kind != "personal":
        raise refusals.forbidden(token().kind)
    return token()


def repository(owner: str, name: str) -> Repository:
    """The repository, where the token can see it: a private one of others is 404, as if it did not exist."""
    found = store().repositories.get(f"{owner}/{name}".lower())
    if found is None or (found.private and not _sees(found)):
        raise refusals.not_found()
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
        raise refusals.forbidden(token().kind)


def need_write(repo: Repository, *permissions: str, least: str = "write") -> None:
    """Refuse a token without one of these permissions, and a user whose role is below `least`."""
    if not token().covers(repo) or not any(token().may(permission, "write") for permission in permissions):
        raise refusals.forbidden(token().kind)
    if not reaches(repo, least):
        raise refusals.not_allowed()


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
    refresh(store(), repo, found)
    return found


def refresh(held: Store, repo: Repository, one: Pull) -> None:
    """A closed pull request stays as it was; so does one whose branch or fork is gone."""
    head = held.repositories.get(one.head_repository or "")
    if head is None or one.issue.state == "closed":
        return
    sha = git.find(head.path, f"refs/heads/{one.head_branch}")
    if sha in (None, one.head_sha):
        return
    git.fetch(repo.path, source=head.path, branch=one.head_branch, ref=f"refs/pull/{one.issue.number}/head")
    one.previous_head_sha, one.head_sha = one.head_sha, sha or ""
    one.base_sha = git.find(repo.path, f"refs/heads/{one.base_branch}") or one.base_sha


def commit(repo: Repository, ref: str) -> str:
    """The hash of a commit, a branch or a tag."""
    found = find(repo, ref)
    if found is None:
        raise refusals.RefusalError(422, f"No commit found for SHA: {ref}")
    return found


def find(repo: Repository, ref: str) -> str | None:
    """The same, or None. A repository and its forks share their commits, as on GitHub; branches and tags they do not.

    https://docs.github.com/get-started/learning-about-github/about-forks (a repository network)
    """
    if _HASH.fullmatch(ref):
        return git.find(repo.path, ref) or _fetched(repo, ref)
    for one in repo.pulls.values():
        refresh(store(), repo, one)
    return git.find(repo.path, ref)


def _fetched(repo: Repository, sha: str) -> str | None:
    for relative in _network(repo):
        if git.find(relative.path, sha):
            git.fetch_commit(repo.path, source=relative.path, sha=sha)
            return sha
    return None


def _network(repo: Repository) -> list[Repository]:
    root = repo.fork_of or repo.full_name
    return [one for one in store().repositories.values() if root in (one.full_name, one.fork_of)]
