"""Merge queues, as far as a workflow sees them: a branch for each pull request in the queue, and the events.

https://docs.github.com/webhooks/webhook-events-and-payloads (merge_group): `base_sha` is the parent of the group's
commit, which is the head of the base branch or that of the group before it.
"""

from typing import Any

from sandbox.servers.github_server import access, errors, git, merging, shapes
from sandbox.servers.github_server.store import Pull, Repository

_QUEUE = "gh-readonly-queue"


def create(repo: Repository, pull: Pull, *, after: str, method: str, login: str) -> dict[str, Any]:
    """Build the commit of a pull request in the queue, on top of `after` or of the base branch; return the event."""
    base_ref = f"refs/heads/{pull.base_branch}"
    base = access.commit(repo, after) if after else git.find(repo.path, base_ref) or pull.base_sha
    message = merging.message(pull, method, "", "", subjects=[])
    try:
        made = merging.combine(repo.path, base=base, head=pull.head_sha, method=method, message=message, login=login)
    except git.GitError as error:
        raise errors.ApiError(409, "the pull request conflicts with the queue") from error
    ref = f"refs/heads/{_QUEUE}/{pull.base_branch}/pr-{pull.issue.number}-{base}"
    git.run(repo.path, "update-ref", ref, made)
    return _event(repo, "checks_requested", ref=ref, base=base, base_ref=base_ref, login=login)


def dismiss(repo: Repository, branch: str, *, reason: str, login: str) -> dict[str, Any]:
    """Delete a group's branch, as GitHub does when it is merged, invalidated or dequeued; return the event."""
    ref = f"refs/heads/{branch}"
    if not branch.startswith(f"{_QUEUE}/") or git.find(repo.path, ref) is None:
        raise errors.not_found()
    base_branch, _, name = branch.removeprefix(f"{_QUEUE}/").rpartition("/")
    base, base_ref = name.rpartition("-")[2], f"refs/heads/{base_branch}"
    event = _event(repo, "destroyed", ref=ref, base=base, base_ref=base_ref, login=login)
    git.run(repo.path, "update-ref", "-d", ref)
    return {**event, "reason": reason}


def _event(repo: Repository, action: str, *, ref: str, base: str, base_ref: str, login: str) -> dict[str, Any]:
    head = git.commit(repo.path, git.find(repo.path, ref) or "")
    return {
        "action": action,
        "merge_group": {
            "head_sha": head.sha,
            "head_ref": ref,
            "base_sha": base,
            "base_ref": base_ref,
            "head_commit": {
                "id": head.sha,
                "tree_id": head.tree,
                "message": head.message,
                "timestamp": head.committer["date"],
                "author": {"name": head.author["name"], "email": head.author["email"]},
                "committer": {"name": head.committer["name"], "email": head.committer["email"]},
            },
        },
        "repository": shapes.repository(repo),
        "sender": shapes.user(login),
    }
