"""Merging a pull request: on trial, as GitHub does for every open one, and for good, in its three ways."""

from pathlib import Path

from sandbox.servers.github_server import git
from sandbox.servers.github_server.store import Pull, Repository, Trial

METHODS = ("merge", "squash", "rebase")


def trial(repo: Repository, pull: Pull) -> str | None:
    """Return the commit that a merge would make, kept as refs/pull/N/merge; None if it conflicts."""
    base = git.find(repo.path, f"refs/heads/{pull.base_branch}") or pull.base_sha
    if pull.trial is None or (pull.trial.base, pull.trial.head) != (base, pull.head_sha):
        pull.trial = Trial(base, pull.head_sha, _try(repo.path, pull, base))
    return pull.trial.commit


def _try(path: Path, pull: Pull, base: str) -> str | None:
    message = f"Merge {pull.head_sha} into {base}"
    try:
        made = combine(path, base=base, head=pull.head_sha, method="merge", message=message, login=pull.issue.author)
    except git.GitError:
        return None
    git.run(path, "update-ref", f"refs/pull/{pull.issue.number}/merge", made)
    return made


def combine(path: Path, *, base: str, head: str, method: str, message: str, login: str) -> str:
    """Create a commit with both; no branch moves. Raises GitError if they conflict."""
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


def message(pull: Pull, method: str, title: str, text: str, *, subjects: list[str]) -> str:
    """Return the commit message: GitHub's default if the request brings none."""
    number = pull.issue.number
    if method == "squash":
        listed = "\n\n".join(f"* {subject}" for subject in subjects)
        parts = title or f"{pull.issue.title} (#{number})", text or (listed if len(subjects) > 1 else "")
    else:
        owner = pull.head_owner
        parts = title or f"Merge pull request #{number} from {owner}/{pull.head_branch}", text or pull.issue.title
    return "\n\n".join(part for part in parts if part)


def diff_base(repo: Repository, pull: Pull) -> str:
    """Return the commit before the pull request's first; of a merged one, from the base as it was before the merge."""
    base = pull.base_sha if pull.merge else git.find(repo.path, f"refs/heads/{pull.base_branch}") or pull.base_sha
    return git.merge_base(repo.path, base, pull.head_sha) or base
