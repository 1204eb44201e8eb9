from collections.abc import Callable

from clearml_ci.github_api import comments
from clearml_ci.github_api.session import GitHub, told


def upsert_comment(
    hub: GitHub,
    *,
    pull_request: int,
    commit: str,
    marker: str,
    body: str,
    mode: str = "always",
    failure: bool = False,
) -> str:
    """The address of the pull request's one comment, created, updated in place, or left as it is. Raises GitHubError.

    `body` begins with the marker and `comment_mode.outcome_line`; `mode` and `failure` are those of `comment_mode`.
    Empty where the mode keeps silent and there is no comment, and where the pull request has moved on from `commit`:
    a slow check must not overwrite a newer one's word.
    """

    def upsert() -> str:
        pull = hub.repository.get_pull(pull_request)
        if pull.head.sha != commit:
            return ""
        return comments.upsert(pull, marker=marker, body=body, authors=hub.trusted, mode=mode, failure=failure)

    return told(hub, f"the comment on pull request #{pull_request}", "`pull-requests: write`", upsert)


def add_to_comment(
    hub: GitHub,
    *,
    pull_request: int,
    marker: str,
    edit: Callable[[str | None], str],
    mode: str = "always",
    failure: bool = False,
) -> str:
    """The address of the pull request's one comment after `edit`, which is given its text or None. Raises GitHubError.

    Nothing is written where `mode` is `off`, and no first comment where it waits for a failure or a change. Empty
    where there is none.
    """
    return told(
        hub,
        f"the comment on pull request #{pull_request}",
        "`pull-requests: write`",
        lambda: comments.edit(
            hub.repository.get_pull(pull_request),
            marker=marker,
            change=edit,
            authors=hub.trusted,
            mode=mode,
            failure=failure,
        ),
    )
