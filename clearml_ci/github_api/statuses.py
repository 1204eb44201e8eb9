import github

from clearml_ci.core.formatting import shorten
from clearml_ci.github_api.session import GitHub, told

_DESCRIPTION_LIMIT = 140  # characters, https://docs.github.com/rest/commits/statuses


def set_status(hub: GitHub, *, commit: str, name: str, state: str, description: str, url: str) -> str:
    """A commit status, which replaces the earlier one of its name; its API address. Raises GitHubError."""
    return told(
        hub,
        f"the commit status of {commit[:10]}",
        "`statuses: write`",
        lambda: (
            hub.repository.get_commit(commit)
            .create_status(
                state=state,
                target_url=url or github.GithubObject.NotSet,
                description=shorten(description, _DESCRIPTION_LIMIT),
                context=name,
            )
            .url
        ),
    )
