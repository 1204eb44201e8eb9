"""Merging a pull request: on trial, as GitHub does for every open one, and for good, in its three ways."""

from pathlib import Path

from sandbox.servers.github_server import git
from sandbox.servers.github_server.store import Pull, Repository, Trial

METHODS = ("merge", "squash", "rebase")


def trial(repo: Repository, one: Pull) -> str | None:
    """The commit that a merge would make, kept as refs/pull/N/merge; None where it conflicts."""
    base = git.find(repo.path, f"refs/heads/{one.base_branch}") or one.base_sha
    if one.trial is None or (one.trial.base, one.trial.head) != (base, one.head_sha):
        one.trial = Trial(base, one.head_sha, _try(repo.path, one, base))
    return one.trial.commit


def _try(path: Path, one: Pull, base: str) -> str | None:
    message = f"Merge {one.head_sha} into {base}"
    try:
        made = combine(path, base=base, head=one.head_sha, method="merge", message=message, login=one.issue.author)
    except git.GitError:
        return None
    git.run(path, "update-ref", f"refs/pull/{one.issue.number}/merge", made)
    return made


def combine(path: Path, *, base: str, head: str, method: str, message: str, login: str) -> str:
    """A commit with both; no branch moves. Raises GitError where they conflict."""
    with git.checked_out(path, base) as tree:
        for arguments in _commands(method, base, head, message):
            git.run(tree, *arguments, environment=_identity(login))
        return git.run(tree, "rev-parse", "HEAD").strip()


def _commands(method: str, base: str, head: str, message: str) -> list[list[str]]:
    return {
        "merge": [["merge", "-q", "--no-ff", "-m", message, head]],
        "squash": [["merge", "-q", "--squash", head], ["commit", "-q", "--allow-empty", "-m", message]],
        "rebase": [["checkout", "-q", "--detach", head], ["rebase", "-q", "--force-rebase", base]],
    }[method]


def _identity(login: str) -> dict[str, str]:
    return {
        "GIT_AUTHOR_NAME": login,
        "GIT_AUTHOR_EMAIL": f"{login}{git.NOREPLY}",
        "GIT_COMMITTER_NAME": "GitHub",
        "GIT_COMMITTER_EMAIL": "noreply@github.com",
    }


def message(one: Pull, method: str, title: str, text: str, *, subjects: list[str]) -> str:
    """GitHub's own words, where the request brings none."""
    number = one.issue.number
    if method == "squash":
        listed = "\n\n".join(f"* {subject}" for subject in subjects)
        parts = title or f"{one.issue.title} (#{number})", text or (listed if len(subjects) > 1 else "")
    else:
        owner = one.head_owner
        parts = title or f"Merge pull request #{number} from {owner}/{one.head_branch}", text or one.issue.title
    return "\n\n".join(part for part in parts if part)


def diff_base(repo: Repository, one: Pull) -> str:
    """Where the pull request's own commits begin: its base, as it was before the merge once it is merged."""
    base = one.base_sha if one.merge else git.find(repo.path, f"refs/heads/{one.base_branch}") or one.base_sha
    return git.merge_base(repo.path, base, one.head_sha) or base
