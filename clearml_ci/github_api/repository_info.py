"""Read facts about the repository: its address, its default branch, a ref's commit, a user's permission."""

from github import GithubException

from clearml_ci.github_api.session import CONTENTS, GitHub, call_github


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


def _permission(github: GitHub, login: str) -> str:
    try:
        return github.repository.get_collaborator_permission(login)
    except GithubException as error:
        if error.status == 404 and "is not a user" in str(error.data):
            return "none"
        raise
