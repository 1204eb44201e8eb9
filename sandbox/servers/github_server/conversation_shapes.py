"""GitHub's JSON shapes of issues, pull requests and what is said on them."""

from urllib.parse import quote

from sandbox.servers.github_server import access, changes, git, merging, shapes
from sandbox.servers.github_server.shapes import Shape, api, association, performed_via, user, web
from sandbox.servers.github_server.store import Comment, Event, Issue, Pull, Repository


def page(repo: Repository, one: Issue) -> str:
    return f"{web()}/{repo.full_name}/{'pull' if one.number in repo.pulls else 'issues'}/{one.number}"


def label(repo: Repository, name: str) -> Shape:
    one = repo.labels[name.lower()]
    return {
        "id": one.id,
        "node_id": f"LA_{one.id}",
        "url": f"{api()}/repos/{repo.full_name}/labels/{quote(one.name)}",
        "name": one.name,
        "color": one.color,
        "default": False,
        "description": one.description,
    }


def comment(repo: Repository, one: Issue, said: Comment) -> Shape:
    return {
        "id": said.id,
        "node_id": f"IC_{said.id}",
        "url": f"{api()}/repos/{repo.full_name}/issues/comments/{said.id}",
        "html_url": f"{page(repo, one)}#issuecomment-{said.id}",
        "issue_url": f"{api()}/repos/{repo.full_name}/issues/{one.number}",
        "user": user(said.author),
        "body": said.body,
        "author_association": association(repo, said.author),
        "performed_via_github_app": performed_via(said.author),
        "created_at": said.created,
        "updated_at": said.updated,
    }


def event(repo: Repository, said: Event) -> Shape:
    shape = {
        "id": said.id,
        "node_id": f"E_{said.id}",
        "url": f"{api()}/repos/{repo.full_name}/issues/events/{said.id}",
        "event": said.kind,
        "actor": user(said.actor),
        "commit_id": said.commit or None,
        "commit_url": shapes.link(repo, said.commit)["url"] if said.commit else None,
        "created_at": said.created,
    }
    if not said.label:
        return shape
    known = repo.labels.get(said.label.lower())
    return {**shape, "label": {"name": said.label, "color": known.color if known else "ededed"}}


def issue(repo: Repository, one: Issue) -> Shape:
    url = f"{api()}/repos/{repo.full_name}/issues/{one.number}"
    shape = {
        **_common(repo, one),
        "url": url,
        "repository_url": f"{api()}/repos/{repo.full_name}",
        "events_url": f"{url}/events",
        "timeline_url": f"{url}/timeline",
        "labels_url": f"{url}/labels{{/name}}",
        "closed_by": user(one.closed_by) if one.closed_by else None,
        "state_reason": one.state_reason,
        "performed_via_github_app": None,
    }
    pull = repo.pulls.get(one.number)
    return {**shape, "draft": pull.draft, "pull_request": _reference(repo, pull)} if pull else shape


def _common(repo: Repository, one: Issue) -> Shape:
    """What issues and pull requests share."""
    return {
        "id": one.id,
        "node_id": f"I_{one.id}",
        "number": one.number,
        "html_url": page(repo, one),
        "comments_url": f"{api()}/repos/{repo.full_name}/issues/{one.number}/comments",
        "title": one.title,
        "body": one.body or None,
        "user": user(one.author),
        "author_association": association(repo, one.author),
        "state": one.state,
        "locked": False,
        "active_lock_reason": None,
        "labels": [label(repo, name) for name in one.labels],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(one.comments),
        "created_at": one.created,
        "updated_at": one.updated,
        "closed_at": one.closed,
    }


def _reference(repo: Repository, one: Pull) -> Shape:
    address = page(repo, one.issue)
    return {
        "url": f"{api()}/repos/{repo.full_name}/pulls/{one.issue.number}",
        "html_url": address,
        "diff_url": f"{address}.diff",
        "patch_url": f"{address}.patch",
        "merged_at": one.merge.at if one.merge else None,
    }


def pull(repo: Repository, one: Pull) -> Shape:
    """As lists show it."""
    common = _common(repo, one.issue)
    del common["comments"]
    merged = one.merge.commit if one.merge else one.trial.commit if one.trial else None
    return {
        **common,
        **_reference(repo, one),
        **_pull_addresses(repo, one),
        "id": one.id,
        "node_id": f"PR_{one.id}",
        "draft": one.draft,
        "merge_commit_sha": merged,
        "requested_reviewers": [],
        "requested_teams": [],
        "auto_merge": None,
        "head": _side(access.store().repositories.get(one.head_repository or ""), one.head_owner, *_head(one)),
        "base": _side(repo, repo.owner, one.base_branch, one.base_sha),
    }


def _head(one: Pull) -> tuple[str, str]:
    return one.head_branch, one.head_sha


def _pull_addresses(repo: Repository, one: Pull) -> Shape:
    base = f"{api()}/repos/{repo.full_name}"
    url, issue_url = f"{base}/pulls/{one.issue.number}", f"{base}/issues/{one.issue.number}"
    addresses = {
        "issue_url": issue_url,
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "review_comment_url": f"{base}/pulls/comments{{/number}}",
        "statuses_url": f"{base}/statuses/{one.head_sha}",
    }
    named = {
        "self": url,
        "html": page(repo, one.issue),
        "issue": issue_url,
        "comments": f"{issue_url}/comments",
        "commits": f"{url}/commits",
        "statuses": addresses["statuses_url"],
    }
    return {**addresses, "_links": {name: {"href": address} for name, address in named.items()}}


def whole_pull(repo: Repository, one: Pull) -> Shape:
    """As its own address shows it: with its size, and whether it can be merged."""
    mergeable = None if one.issue.state == "closed" else merging.trial(repo, one) is not None
    base = merging.diff_base(repo, one)
    files = changes.between(repo.path, base, one.head_sha)
    return {
        **pull(repo, one),
        "merged": one.merge is not None,
        "merged_by": user(one.merge.by) if one.merge else None,
        "mergeable": mergeable,
        "rebaseable": mergeable,
        "mergeable_state": {True: "draft" if one.draft else "clean", False: "dirty", None: "unknown"}[mergeable],
        "comments": len(one.issue.comments),
        "review_comments": 0,
        "maintainer_can_modify": False,
        "commits": len(git.between(repo.path, base, one.head_sha)),
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
