"""Read a file of the repository, or of a fork, at a commit."""

from github import UnknownObjectException
from github.ContentFile import ContentFile

from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import git_history
from clearml_ci.github_api.session import CONTENTS, GitHub, GitHubError, call_github

LIMIT = 2**20  # bytes; GitHub sends larger files without their content


def read(github: GitHub, *, path: str, commit: str) -> str | None:
    """The text of a file at a commit, or None if the commit has no such file.

    Raises GitHubError, also if the commit does not exist or the token cannot read it; UsageError if the path is no
    UTF-8 text file of at most LIMIT bytes.
    """
    if not commit:
        raise ValueError(f"{path}: no commit is given, and GitHub would answer for the default branch")
    found = call_github(github, f"{path} at {commit[:10]}", CONTENTS, lambda: _content(github, path, commit))
    return None if found is None else _text(found, f"{github.name}: {path} at {commit[:10]}")


def _content(github: GitHub, path: str, commit: str) -> ContentFile | list[ContentFile] | None:
    try:
        return github.repository.get_contents(path, ref=commit)
    except UnknownObjectException:
        # A token that cannot read the repository gets a 404 as well: that must not look like a missing file.
        git_history.require_commit(github, commit)
        return None


def _text(found: ContentFile | list[ContentFile], name: str) -> str:
    if not isinstance(found, list) and not found.type:
        raise GitHubError(f"unexpected response from GitHub for {name}: check GITHUB_API_URL, and rerun")
    if isinstance(found, list) or found.type != "file":
        raise UsageError(f"{name} is not a file: replace it by a file")
    if found.size > LIMIT:
        raise UsageError(f"{name} has {found.size:,} bytes: make it smaller than {LIMIT:,}")
    try:
        return found.decoded_content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not text (byte {error.start}): save it as UTF-8") from error
