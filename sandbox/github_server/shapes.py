"""GitHub's JSON shapes, as far as PyGithub and a person at the command line look at them."""

from typing import Any

from flask import request

from sandbox.github_server import git
from sandbox.github_server.store import CheckRun, Comment, Issue, Pull, Repository, Status, Store

API = "/api/v3"
Shape = dict[str, Any]


def web() -> str:
    return request.host_url.rstrip("/")


def api() -> str:
    return web() + API


def user(login: str) -> Shape:
    return {
        "login": login,
        "id": sum(login.encode()),
        "node_id": f"U_{login}",
        "type": "Bot" if login.endswith("[bot]") else "User",
        "url": f"{api()}/users/{login}",
        "html_url": f"{web()}/{login}",
        "site_admin": False,
    }


def repository(repo: Repository) -> Shape:
    url = f"{api()}/repos/{repo.full_name}"
    return {
        "id": repo.id,
        "node_id": f"R_{repo.id}",
        "name": repo.name,
        "full_name": repo.full_name,
        "owner": user(repo.owner),
        "private": True,
        "fork": repo.fork_of is not None,
        "url": url,
        "html_url": f"{web()}/{repo.full_name}",
        "clone_url": repo.path.as_uri(),
        "ssh_url": f"git@localhost:{repo.full_name}.git",
        "git_url": repo.path.as_uri(),
        "default_branch": "main",
    }


def issue(repo: Repository, one: Issue) -> Shape:
    kind = "pull" if one.number in repo.pulls else "issues"
    url = f"{api()}/repos/{repo.full_name}/issues/{one.number}"
    shape = {
        "id": one.number,
        "node_id": f"I_{one.number}",
        "number": one.number,
        "url": url,
        "html_url": f"{web()}/{repo.full_name}/{kind}/{one.number}",
        "comments_url": f"{url}/comments",
        "labels_url": f"{url}/labels{{/name}}",
        "events_url": f"{url}/events",
        "title": one.title,
        "body": one.body,
        "state": one.state,
        "user": user(one.author),
        "labels": [label(repo, name) for name in one.labels],
        "comments": len(one.comments),
        "created_at": one.created,
        "updated_at": one.created,
    }
    if kind == "pull":
        shape["pull_request"] = {"url": f"{api()}/repos/{repo.full_name}/pulls/{one.number}"}
    return shape


def label(repo: Repository, name: str) -> Shape:
    return {
        "id": sum(name.encode()),
        "name": name,
        "color": repo.labels.get(name, "ededed"),
        "url": f"{api()}/repos/{repo.full_name}/labels/{name}",
    }


def comment(repo: Repository, one: Issue, said: Comment) -> Shape:
    return {
        "id": said.id,
        "node_id": f"IC_{said.id}",
        "url": f"{api()}/repos/{repo.full_name}/issues/comments/{said.id}",
        "html_url": f"{issue(repo, one)['html_url']}#issuecomment-{said.id}",
        "issue_url": f"{api()}/repos/{repo.full_name}/issues/{one.number}",
        "user": user(said.author),
        "body": said.body,
        "author_association": "NONE" if said.author.endswith("[bot]") else "MEMBER",
        "created_at": said.created,
        "updated_at": said.updated,
    }


def pull(store: Store, repo: Repository, one: Pull) -> Shape:
    url = f"{api()}/repos/{repo.full_name}/pulls/{one.issue.number}"
    head = store.repositories.get(one.head_repository or "")
    return {
        **{key: value for key, value in issue(repo, one.issue).items() if key != "pull_request"},
        "url": url,
        "issue_url": f"{api()}/repos/{repo.full_name}/issues/{one.issue.number}",
        "statuses_url": f"{api()}/repos/{repo.full_name}/statuses/{one.head_sha}",
        "head": _side(head, one.head_owner, one.head_branch, one.head_sha),
        "base": _side(repo, repo.owner, one.base_branch, git.commit(repo.path, f"refs/heads/{one.base_branch}")),
        "draft": False,
        "merged": False,
        "mergeable": True,
        "author_association": "MEMBER" if one.head_owner == repo.owner else "CONTRIBUTOR",
    }


def _side(repo: Repository | None, owner: str, branch: str, sha: str) -> Shape:
    return {
        "label": f"{owner}:{branch}",
        "ref": branch,
        "sha": sha,
        "user": user(owner),
        "repo": repository(repo) if repo else None,
    }


def commit(repo: Repository, sha: str) -> Shape:
    told = git.describe(repo.path, sha)
    person = {"name": told["author"], "email": told["email"], "date": told["date"]}
    url = f"{api()}/repos/{repo.full_name}/commits/{sha}"
    return {
        "sha": sha,
        "node_id": f"C_{sha}",
        "url": url,
        "html_url": f"{web()}/{repo.full_name}/commit/{sha}",
        "commit": {"message": told["message"], "author": person, "committer": person, "tree": {"sha": told["tree"]}},
        "parents": [{"sha": parent} for parent in told["parents"].split()],
        "author": None,
        "committer": None,
    }


def status(repo: Repository, one: Status) -> Shape:
    return {
        "id": one.id,
        "url": f"{api()}/repos/{repo.full_name}/statuses/{one.sha}",
        "state": one.state,
        "context": one.context,
        "description": one.description,
        "target_url": one.target_url or None,
        "creator": user(one.author),
        "created_at": one.created,
        "updated_at": one.created,
    }


def check_run(repo: Repository, one: CheckRun) -> Shape:
    return {
        "id": one.id,
        "name": one.name,
        "head_sha": one.sha,
        "status": one.status,
        "conclusion": one.conclusion,
        "details_url": one.details_url,
        "output": {"title": None, "summary": None, "text": None, "annotations_count": 0, **one.output},
        "url": f"{api()}/repos/{repo.full_name}/check-runs/{one.id}",
        "html_url": f"{web()}/{repo.full_name}/runs/{one.id}",
        "started_at": one.started,
        "completed_at": one.started if one.conclusion else None,
    }
