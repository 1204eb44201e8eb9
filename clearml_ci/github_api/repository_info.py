"""Read facts about the repository: its address, its default branch, a ref's commit, a user's permission."""

from typing import Any
from urllib.parse import quote

from github import GithubException

from clearml_ci.github_api.session import CONTENTS, GitHub, call_github

_ROLES = ("admin", "maintain", "write", "triage", "read", "none")


_OF_FLAGS = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}


def clone_url_and_default_branch(github: GitHub) -> tuple[str, str]:
    """The repository's clone address, and the name of its default branch. Raises GitHubError."""
    return call_github(
        github,
        "the repository",
        CONTENTS,
        lambda: (github.repository.clone_url, str(github.repository.default_branch)),
    )


def clone_url_and_commit(github: GitHub, *, ref: str) -> tuple[str, str]:
    """The repository's clone address, and the full hash of a branch's or a tag's current commit. Raises GitHubError."""
    return call_github(
        github,
        f"the commit of '{ref}'",
        CONTENTS,
        # `raw_data` sends a request; the `sha` of a lazy commit is the ref itself
        lambda: (github.repository.clone_url, str(github.repository.get_commit(ref).raw_data["sha"])),
    )


def permission(github: GitHub, login: str) -> str:
    """A user's permission: `admin`, `write` (also maintain), `read` (also triage) or `none`. Raises GitHubError."""
    return call_github(
        github,
        f"the permission of {login}",
        "push access, or `metadata: read` as an App,",
        lambda: _permission(github, login),
    )


def role(github: GitHub, login: str) -> str:
    """A user's role: `admin`, `maintain`, `write`, `triage`, `read` or `none`. Raises GitHubError.

    A custom role of an organization counts as the largest of these whose permissions it has.
    """
    return call_github(
        github,
        f"the role of {login}",
        "push access, or `metadata: read` as an App,",
        lambda: _role(_access(github, login)),
    )


def _role(found: dict[str, Any]) -> str:
    if found["role_name"] in _ROLES:
        return str(found["role_name"])
    flags = (found.get("user") or {}).get("permissions") or {}
    return next((role for flag, role in _OF_FLAGS.items() if flags.get(flag) is True), str(found["permission"]))


def _permission(github: GitHub, login: str) -> str:
    return str(_access(github, login)["permission"])


def _access(github: GitHub, login: str) -> dict[str, Any]:
    """The answer about a collaborator; PyGithub's methods return one of its fields each."""
    repository = github.repository
    try:
        _, data = repository.requester.requestJsonAndCheck(
            "GET", f"{repository.url}/collaborators/{quote(login, safe='')}/permission"
        )
    except GithubException as error:
        if error.status == 404 and "is not a user" in str(error.data):
            return {"permission": "none", "role_name": "none"}
        raise
    return dict(data)
