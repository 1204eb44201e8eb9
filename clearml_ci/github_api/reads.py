"""What is read from GitHub: files at a commit, permissions, comments, pull requests, changes. A part of the gateway."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import github
from github.Comparison import Comparison
from github.ContentFile import ContentFile

from clearml_ci.core.errors import UsageError
from clearml_ci.github_api.session import GitHub, told

FILE_LIMIT = 2**20  # bytes; GitHub gives larger files without their content


_COMPARED_LIMIT = 300  # files of a comparison; GitHub leaves out those beyond without a word


_PULLS, _CONTENTS = "`pull-requests: read`", "`contents: read`"


class Comment(NamedTuple):
    """`login` is empty where the account is gone."""

    login: str
    body: str


@dataclass(frozen=True)
class Pull:
    """What of a pull request can change while it is checked, and what became of it."""

    number: int
    state: str  # open or closed
    merged: bool
    head_sha: str
    base_ref: str
    merge_commit_sha: str | None  # of an open one, that of a trial


def pull(hub: GitHub, number: int) -> Pull:
    """As it stands. Raises GitHubError."""

    def read() -> Pull:
        one = hub.repository.get_pull(number)
        return Pull(
            number=one.number,
            state=one.state,
            merged=one.merged,
            head_sha=one.head.sha,
            base_ref=one.base.ref,
            merge_commit_sha=one.merge_commit_sha,
        )

    return told(hub, f"pull request #{number}", _PULLS, read)


def comments(hub: GitHub, pull_request: int) -> list[Comment]:
    """All of them, oldest first. Raises GitHubError."""
    found = told(
        hub,
        f"the comments on pull request #{pull_request}",
        _PULLS,
        lambda: list(hub.repository.get_issue(pull_request).get_comments()),
    )
    return [Comment(one.user.login if one.user else "", one.body or "") for one in found]


def permission(hub: GitHub, login: str) -> str:
    """`admin`, `write`, `read` or `none`: triage counts as read, maintain as write. Raises GitHubError."""
    return told(
        hub,
        f"the permission of {login}",
        "push access, or `metadata: read` as an App,",
        lambda: _permission(hub, login),
    )


def _permission(hub: GitHub, login: str) -> str:
    try:
        return hub.repository.get_collaborator_permission(login)
    except github.GithubException as error:
        if error.status == 404 and "is not a user" in str(error.data):
            return "none"
        raise


def file_at(hub: GitHub, *, path: str, commit: str) -> str | None:
    """A file's text at a commit, also of a fork's; None where the commit has no such file.

    Raises GitHubError, also where the commit is not there or not seen; UsageError where it is no text that can be read.
    """
    if not commit:
        raise ValueError(f"{path} of which commit? GitHub would tell the default branch's")
    found = told(hub, f"{path} at {commit[:10]}", _CONTENTS, lambda: _content(hub, path, commit))
    if found is None:
        return None
    where = f"{hub.name}: {path} at {commit[:10]}"
    if isinstance(found, list) or found.type != "file":
        raise UsageError(f"{where} is no file: it must be one")
    if found.size > FILE_LIMIT:
        raise UsageError(f"{where} has {found.size:,} bytes: make it smaller than {FILE_LIMIT:,}")
    try:
        return found.decoded_content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is no text (byte {error.start}): save it as UTF-8") from error


def _content(hub: GitHub, path: str, commit: str) -> ContentFile | list[ContentFile] | None:
    try:
        return hub.repository.get_contents(path, ref=commit)
    except github.UnknownObjectException:
        # A token that does not see the repository gets a 404 as well: that must not look like a missing file.
        hub.repository.get_git_commit(commit).complete()
        return None


def branch_head(hub: GitHub, name: str) -> str:
    """The commit at which a branch stands. Raises GitHubError."""
    return told(hub, f"the branch '{name}'", _CONTENTS, lambda: hub.repository.get_branch(name).commit.sha)


def home(hub: GitHub) -> tuple[str, str]:
    """The repository's clone address and the name of its main branch. Raises GitHubError."""
    return told(
        hub, "the repository", _CONTENTS, lambda: (hub.repository.clone_url, str(hub.repository.default_branch))
    )


def revision(hub: GitHub, *, ref: str) -> tuple[str, str]:
    """The repository's clone address, and the full hash of the commit that a branch or a tag names now."""
    return told(
        hub,
        f"the commit of '{ref}'",
        _CONTENTS,
        # raw_data asks GitHub; `sha` of a lazy commit is whatever it was asked for
        lambda: (hub.repository.clone_url, str(hub.repository.get_commit(ref).raw_data["sha"])),
    )


def commits_of(hub: GitHub, pull_request: int) -> list[str]:
    """The hashes of a pull request's commits, oldest first; GitHub tells 250 at most. Raises GitHubError."""
    return told(
        hub,
        f"the commits of pull request #{pull_request}",
        _PULLS,
        lambda: [one.sha for one in hub.repository.get_pull(pull_request).get_commits()],
    )


def recent_commits(hub: GitHub, branch: str) -> list[str]:
    """The newest 100 commits of a branch, and the heads of what was merged into it lately. Raises GitHubError.

    After a squash a merged pull request's head is none of the branch's commits, and yet it is what was judged.
    """
    commits = told(
        hub, f"the commits of '{branch}'", _CONTENTS, lambda: list(hub.repository.get_commits(sha=branch).get_page(0))
    )
    merged = told(
        hub,
        f"the pull requests merged into '{branch}'",
        _PULLS,
        lambda: hub.repository.get_pulls(state="closed", base=branch, sort="updated", direction="desc").get_page(0),
    )
    return list(dict.fromkeys([*(one.sha for one in commits), *(one.head.sha for one in merged if one.merged_at)]))


def merge_base(hub: GitHub, *, base: str, head: str) -> str:
    """The newest commit that a branch and a commit have in common. Raises GitHubError."""
    return _compared(hub, base, head).merge_base_commit.sha


def merged_heads(hub: GitHub, commit: str) -> list[str]:
    """The heads of the merged pull requests that brought a commit: after a squash it is none of theirs.

    Raises GitHubError.
    """
    found = told(
        hub, f"the pull requests of {commit[:10]}", _PULLS, lambda: list(hub.repository.get_commit(commit).get_pulls())
    )
    return [one.head.sha for one in found if one.merged_at]


def pushed_commits(hub: GitHub, *, before: str, after: str) -> list[str]:
    """The commits that a push from `before` to `after` brought to a branch, oldest first. Raises GitHubError."""
    if not before.strip("0"):  # the branch is new
        return [after]
    what = f"the commits from {before[:10]} to {after[:10]}"
    return told(hub, what, _CONTENTS, lambda: [one.sha for one in hub.repository.compare(before, after).commits])


def merged_pulls(hub: GitHub, commits: Iterable[str]) -> list[dict[str, Any]]:
    """The pull requests whose merges made these commits, in their order. Raises GitHubError."""
    found = (merged_pull(hub, commit) for commit in commits)
    return list({pull["number"]: pull for pull in found if pull}.values())


def merged_pull(hub: GitHub, commit: str) -> dict[str, Any] | None:
    """The pull request whose merge made a commit of the base branch, as GitHub's events carry it. Raises GitHubError.

    None for a commit that a merge only brought along: GitHub lists that pull request there as well, and others that
    were merged with it.
    """

    def find() -> dict[str, Any] | None:
        merged = [one for one in hub.repository.get_commit(commit).get_pulls() if one.merged_at]
        own = (one.number for one in merged if one.merge_commit_sha == commit)
        number = next(own, None)
        return dict(hub.repository.get_pull(number).raw_data) if number else None

    return told(hub, f"the pull request of {commit[:10]}", _PULLS, find)


def is_on(hub: GitHub, *, branch: str, commit: str) -> bool:
    """Is a commit on a branch: reachable from it, or the head of a pull request that was merged? Raises GitHubError."""
    if _compared(hub, branch, commit).status in ("behind", "identical"):
        return True
    return commit in merged_heads(hub, commit)


def has_commit(hub: GitHub, commit: str) -> bool:
    """Does GitHub know a commit of this repository? Raises GitHubError.

    A token that does not see the repository is told 404 as well: ask with one that has just read from it.
    """

    def find() -> bool:
        try:
            hub.repository.get_git_commit(commit).complete()
        except github.UnknownObjectException:
            return False
        return True

    return told(hub, f"the commit {commit[:10]}", _CONTENTS, find)


def changed_files(hub: GitHub, *, base: str, head: str) -> list[str] | None:
    """The paths in which two commits differ, old names of renamed files included; None: too many for GitHub to tell.

    Where the head was rebased or pushed by force, paths that the two have in common may be among them, never the
    other way round. Raises GitHubError.
    """
    compared = [_compared(hub, base, head)]
    if compared[0].status not in ("ahead", "identical"):
        # GitHub compares with the merge base: what only `base` has since is seen from the other side alone
        compared.append(_compared(hub, head, base))
    files = [one.files for one in compared]
    if any(len(found) >= _COMPARED_LIMIT for found in files):
        return None
    return sorted({path for found in files for one in found for path in (one.filename, one.previous_filename) if path})


def _compared(hub: GitHub, base: str, head: str) -> Comparison:
    what = f"the comparison of {base[:10]} with {head[:10]}"
    return told(hub, what, _CONTENTS, lambda: hub.repository.compare(base, head).complete())
