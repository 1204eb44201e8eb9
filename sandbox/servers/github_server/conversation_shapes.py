"""GitHub's JSON shapes of issues, pull requests, and their comments and events."""

from urllib.parse import quote

from sandbox.servers.github_server import access, diffs, git, merging, shapes
from sandbox.servers.github_server.shapes import Shape, api, association, performed_via, user, web
from sandbox.servers.github_server.store import Comment, Event, Issue, Pull, Repository


def page(repo: Repository, issue: Issue) -> str:
    return f"{web()}/{repo.full_name}/{'pull' if issue.number in repo.pulls else 'issues'}/{issue.number}"


def label(repo: Repository, name: str) -> Shape:
    held = repo.labels[name.lower()]
    return {
        "id": held.id,
        "node_id": f"LA_{held.id}",
        "url": f"{api()}/repos/{repo.full_name}/labels/{quote(held.name)}",
        "name": held.name,
        "color": held.color,
        "default": False,
        "description": held.description,
    }


def comment(repo: Repository, issue: Issue, comment: Comment) -> Shape:
    return {
        "id": comment.id,
        "node_id": f"IC_{comment.id}",
        "url": f"{api()}/repos/{repo.full_name}/issues/comments/{comment.id}",
        "html_url": f"{page(repo, issue)}#issuecomment-{comment.id}",
        "issue_url": f"{api()}/repos/{repo.full_name}/issues/{issue.number}",
        "user": user(comment.author),
        "body": comment.body,
        "author_association": association(repo, comment.author),
        "performed_via_github_app": performed_via(comment.author),
        "created_at": comment.created,
        "updated_at": comment.updated,
    }


def event(repo: Repository, event: Event) -> Shape:
    shape = {
        "id": event.id,
        "node_id": f"E_{event.id}",
        "url": f"{api()}/repos/{repo.full_name}/issues/events/{event.id}",
        "event": event.kind,
        "actor": user(event.actor),
        "commit_id": event.commit or None,
        "commit_url": shapes.link(repo, event.commit)["url"] if event.commit else None,
        "created_at": event.created,
    }
    if not event.label:
        return shape
    known = repo.labels.get(event.label.lower())
    return {**shape, "label": {"name": event.label, "color": known.color if known else "ededed"}}


def issue(repo: Repository, issue: Issue) -> Shape:
    url = f"{api()}/repos/{repo.full_name}/issues/{issue.number}"
    shape = {
        **_common(repo, issue),
        "url": url,
        "repository_url": f"{api()}/repos/{repo.full_name}",
        "events_url": f"{url}/events",
        "timeline_url": f"{url}/timeline",
        "labels_url": f"{url}/labels{{/name}}",
        "closed_by": user(issue.closed_by) if issue.closed_by else None,
        "state_reason": issue.state_reason,
        "performed_via_github_app": None,
    }
    pull = repo.pulls.get(issue.number)
    return {**shape, "draft": pull.draft, "pull_request": _reference(repo, pull)} if pull else shape


def _common(repo: Repository, issue: Issue) -> Shape:
    """Return the fields that issues and pull requests share."""
    return {
        "id": issue.id,
        "node_id": f"I_{issue.id}",
        "number": issue.number,
        "html_url": page(repo, issue),
        "comments_url": f"{api()}/repos/{repo.full_name}/issues/{issue.number}/comments",
        "title": issue.title,
        "body": issue.body or None,
        "user": user(issue.author),
        "author_association": association(repo, issue.author),
        "state": issue.state,
        "locked": False,
        "active_lock_reason": None,
        "labels": [label(repo, name) for name in issue.labels],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(issue.comments),
        "created_at": issue.created,
        "updated_at": issue.updated,
        "closed_at": issue.closed,
    }


def _reference(repo: Repository, pull: Pull) -> Shape:
    address = page(repo, pull.issue)
    return {
        "url": f"{api()}/repos/{repo.full_name}/pulls/{pull.issue.number}",
        "html_url": address,
        "diff_url": f"{address}.diff",
        "patch_url": f"{address}.patch",
        "merged_at": pull.merge.at if pull.merge else None,
    }


def pull(repo: Repository, pull: Pull) -> Shape:
    """As lists show it."""
    common = _common(repo, pull.issue)
    del common["comments"]
    merged = pull.merge.commit if pull.merge else pull.trial.commit if pull.trial else None
    return {
        **common,
        **_reference(repo, pull),
        **_pull_addresses(repo, pull),
        "id": pull.id,
        "node_id": f"PR_{pull.id}",
        "draft": pull.draft,
        "merge_commit_sha": merged,
        "requested_reviewers": [],
        "requested_teams": [],
        "auto_merge": None,
        "head": _side(access.store().repositories.get(pull.head_repository or ""), pull.head_owner, *_head(pull)),
        "base": _side(repo, repo.owner, pull.base_branch, pull.base_sha),
    }


def _head(pull: Pull) -> tuple[str, str]:
    return pull.head_branch, pull.head_sha


def _pull_addresses(repo: Repository, pull: Pull) -> Shape:
    base = f"{api()}/repos/{repo.full_name}"
    url, issue_url = f"{base}/pulls/{pull.issue.number}", f"{base}/issues/{pull.issue.number}"
    addresses = {
        "issue_url": issue_url,
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "review_comment_url": f"{base}/pulls/comments{{/number}}",
        "statuses_url": f"{base}/statuses/{pull.head_sha}",
    }
    named = {
        "self": url,
        "html": page(repo, pull.issue),
        "issue": issue_url,
        "comments": f"{issue_url}/comments",
        "commits": f"{url}/commits",
        "statuses": addresses["statuses_url"],
    }
    return {**addresses, "_links": {name: {"href": address} for name, address in named.items()}}


def whole_pull(repo: Repository, pull_request: Pull) -> Shape:
    """As its own address shows it: with its size, and whether it can be merged."""
    state = "draft" if pull_request.draft else "clean"
    mergeable = None if pull_request.issue.state == "closed" else merging.trial(repo, pull_request) is not None
    base = merging.diff_base(repo, pull_request)
    files = diffs.between(repo.path, base, pull_request.head_sha)
    return {
        **pull(repo, pull_request),
        "merged": pull_request.merge is not None,
        "merged_by": user(pull_request.merge.by) if pull_request.merge else None,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": {True: state, False: "dirty", None: "unknown"}[mergeable],
        "comments": len(pull_request.issue.comments),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": len(git.between(repo.path, base, pull_request.head_sha)),
        "additions": sum(file.count("+") for file in files),
        "deletions": sum(file.count("-") for file in files),
        "changed_files": len(files),
    }


def _side(repo: Repository | None, owner: str, branch: str, sha: str) -> Shape:
    """One side of a pull request; a deleted fork has no repository any more."""
    return {
        "label": f"{owner}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": user(owner),
        "repo": shapes.repository(repo) if repo else None,
    }
