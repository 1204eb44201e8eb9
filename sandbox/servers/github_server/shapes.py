"""GitHub's JSON shapes of accounts, repositories and code."""

import base64
import zlib
from typing import Any
from urllib.parse import quote

from flask import request

from sandbox.servers.github_server import access, diffs, git
from sandbox.servers.github_server.store import CheckRun, Repository, Status

API = "/api/v3"
Shape = dict[str, Any]
CONTENT_LIMIT = 2**20  # bytes; larger files come without their content
_LINE = 60  # characters; GitHub breaks base64 into lines


def web() -> str:
    return request.host_url.rstrip("/")


def api() -> str:
    return web() + API


def number_of(text: str) -> int:
    """An id for what has none here: the same for the same text."""
    return zlib.crc32(text.encode())


def user(login: str) -> Shape:
    url = f"{api()}/users/{quote(login)}"
    bot = login.endswith("[bot]")
    return {
        "login": login,
        "id": number_of(login.lower()),
        "node_id": f"U_{number_of(login.lower())}",
        "avatar_url": "",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{web()}/{'apps/' if bot else ''}{login.removesuffix('[bot]')}",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "type": "Bot" if bot else "User",
        "user_view_type": "public",
        "site_admin": False,
    }


def association(repo: Repository, login: str) -> str:
    """Return the author's association with the repository."""
    if login.lower() == repo.owner.lower():
        return "OWNER"
    if login.lower() in repo.collaborators:
        return "COLLABORATOR"
    merged = any(pull.merge and pull.issue.author == login for pull in repo.pulls.values())
    return "CONTRIBUTOR" if merged else "NONE"


def repository(repo: Repository, *, whole: bool = False) -> Shape:
    """With `whole` as the repository's own address answers: with the one it was forked from."""
    shape = {**_identity(repo), **_addresses(repo), **_counts(repo)}
    source = access.store().repositories.get((repo.fork_of or "").lower())
    return {**shape, "parent": repository(source), "source": repository(source)} if whole and source else shape


def _identity(repo: Repository) -> Shape:
    return {
        "id": repo.id,
        "node_id": f"R_{repo.id}",
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "visibility": "private" if repo.private else "public",
        "owner": user(repo.owner),
        "description": repo.description,
        "fork": repo.fork_of is not None,
        "default_branch": repo.default_branch,
        "archived": False,
        "disabled": False,
        "has_issues": True,
        "created_at": repo.created,
        "updated_at": repo.created,
        "pushed_at": git.pushed_at(repo.path),
        "allow_forking": True,
        "permissions": _permissions(repo),
    }


def _permissions(repo: Repository) -> dict[str, bool]:
    levels = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
    login = access.login()
    role = access.ROLES.index(access.role(repo, login)) if login else 0
    return {name: role >= access.ROLES.index(level) for name, level in levels.items()}


def _addresses(repo: Repository) -> Shape:
    url = f"{api()}/repos/{repo.full_name}"
    parts = {
        "branches_url": "branches{/branch}",
        "collaborators_url": "collaborators{/collaborator}",
        "commits_url": "commits{/sha}",
        "compare_url": "compare/{base}...{head}",
        "contents_url": "contents/{+path}",
        "forks_url": "forks",
        "git_refs_url": "git/refs{/sha}",
        "issue_comment_url": "issues/comments{/number}",
        "issue_events_url": "issues/events{/number}",
        "issues_url": "issues{/number}",
        "labels_url": "labels{/name}",
        "pulls_url": "pulls{/number}",
        "statuses_url": "statuses/{sha}",
    }
    return {
        "url": url,
        "html_url": f"{web()}/{repo.full_name}",
        "clone_url": repo.path.as_uri(),
        "git_url": repo.path.as_uri(),
        "ssh_url": repo.path.as_uri(),
        **{name: f"{url}/{part}" for name, part in parts.items()},
    }


def _counts(repo: Repository) -> Shape:
    still_open = sum(item.state == "open" for item in repo.issues.values())
    forks = sum(item.fork_of == repo.full_name for item in access.store().repositories.values())
    return {
        "open_issues": still_open,
        "open_issues_count": still_open,
        "forks": forks,
        "forks_count": forks,
        "stargazers_count": 0,
        "watchers_count": 0,
        "size": 0,
        "language": None,
        "license": None,
        "topics": [],
    }


def link(repo: Repository, sha: str) -> Shape:
    """A commit as others refer to it."""
    return {
        "sha": sha,
        "url": f"{api()}/repos/{repo.full_name}/commits/{sha}",
        "html_url": f"{web()}/{repo.full_name}/commit/{sha}",
    }


def commit(repo: Repository, commit: git.Commit) -> Shape:
    return {
        **link(repo, commit.sha),
        "node_id": f"C_{commit.sha}",
        "comments_url": f"{api()}/repos/{repo.full_name}/commits/{commit.sha}/comments",
        "commit": {**_recorded(repo, commit), "comment_count": 0},
        "author": _account(commit.author),
        "committer": _account(commit.committer),
        "parents": [link(repo, parent) for parent in commit.parents],
    }


def git_commit(repo: Repository, commit: git.Commit) -> Shape:
    """A commit as git alone knows it."""
    parents = [{**link(repo, sha), "url": _git_url(repo, "commits", sha)} for sha in commit.parents]
    node = {"sha": commit.sha, "node_id": f"C_{commit.sha}", "html_url": link(repo, commit.sha)["html_url"]}
    return {**node, **_recorded(repo, commit), "parents": parents}


def _recorded(repo: Repository, commit: git.Commit) -> Shape:
    return {
        "url": _git_url(repo, "commits", commit.sha),
        "message": commit.message,
        "author": commit.author,
        "committer": commit.committer,
        "tree": {"sha": commit.tree, "url": _git_url(repo, "trees", commit.tree)},
        "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
    }


def _git_url(repo: Repository, kind: str, sha: str) -> str:
    return f"{api()}/repos/{repo.full_name}/git/{kind}/{sha}"


def _account(author: dict[str, str]) -> Shape | None:
    """Return the account of a commit's author; only GitHub's own addresses name it."""
    login, found, _ = author["email"].partition(git.NOREPLY)
    return user(login.rpartition("+")[2]) if found and login else None


def changed_file(repo: Repository, sha: str, file: diffs.ChangedFile) -> Shape:
    path = quote(file.path)
    shape = {
        "sha": file.sha,
        "filename": file.path,
        "status": file.status,
        "additions": file.count("+"),
        "deletions": file.count("-"),
        "changes": file.count("+") + file.count("-"),
        "blob_url": f"{web()}/{repo.full_name}/blob/{sha}/{path}",
        "raw_url": f"{web()}/{repo.full_name}/raw/{sha}/{path}",
        "contents_url": f"{api()}/repos/{repo.full_name}/contents/{path}?ref={sha}",
    }
    optional = {"patch": file.patch, "previous_filename": file.previous}
    return {**shape, **{name: value for name, value in optional.items() if value}}


def entry(repo: Repository, ref: str, entry: git.Entry, *, whole: bool) -> Shape:
    """Return a file or directory at a ref; with `whole` a file's content, too."""
    url = f"{api()}/repos/{repo.full_name}/contents/{quote(entry.path)}?ref={quote(ref)}"
    page = f"{web()}/{repo.full_name}/{entry.kind}/{quote(ref)}/{quote(entry.path)}"
    blob = f"{api()}/repos/{repo.full_name}/git/{entry.kind}s/{entry.sha}"
    kind = {"tree": "dir", "commit": "submodule"}.get(entry.kind, "symlink" if entry.mode == "120000" else "file")
    shape = {
        "type": kind,
        "name": entry.path.split("/")[-1],
        "path": entry.path,
        "sha": entry.sha,
        "size": entry.size,
        "url": url,
        "html_url": page,
        "git_url": blob,
        "download_url": f"{web()}/{repo.full_name}/raw/{quote(ref)}/{quote(entry.path)}" if kind == "file" else None,
        "_links": {"self": url, "git": blob, "html": page},
    }
    return {**shape, **_content(repo, entry)} if whole else shape


def _content(repo: Repository, entry: git.Entry) -> Shape:
    if entry.size > CONTENT_LIMIT:
        return {"encoding": "none", "content": ""}
    encoded = base64.b64encode(git.blob(repo.path, entry.sha)).decode()
    lines = [encoded[at : at + _LINE] + "\n" for at in range(0, len(encoded), _LINE)]
    return {"encoding": "base64", "content": "".join(lines)}


def status(repo: Repository, status: Status) -> Shape:
    return {
        "id": status.id,
        "node_id": f"SC_{status.id}",
        "url": f"{api()}/repos/{repo.full_name}/statuses/{status.sha}",
        "avatar_url": "",
        "state": status.state,
        "context": status.context,
        "description": status.description or None,
        "target_url": status.target_url or None,
        "creator": user(status.author),
        "created_at": status.created,
        "updated_at": status.created,
    }


def check_run(repo: Repository, run: CheckRun) -> Shape:
    url = f"{api()}/repos/{repo.full_name}/check-runs/{run.id}"
    page = f"{web()}/{repo.full_name}/runs/{run.id}"
    output = {"title": None, "summary": None, "text": None, **run.output}
    return {
        "id": run.id,
        "node_id": f"CR_{run.id}",
        "name": run.name,
        "head_sha": run.sha,
        "external_id": run.external_id,
        "url": url,
        "html_url": page,
        "details_url": run.details_url or page,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": run.started,
        "completed_at": run.completed,
        "output": {**output, "annotations_count": run.annotations, "annotations_url": f"{url}/annotations"},
        "check_suite": {"id": number_of(run.sha + run.author)},
        "app": app(run.author),
        "pull_requests": [],
    }


def app(login: str) -> Shape:
    """The App behind a bot; the one behind workflows is GitHub's own."""
    slug = login.removesuffix("[bot]")
    known = access.store().apps.get(slug)
    return {
        "id": known.id if known else number_of(slug),
        "slug": slug,
        "client_id": known.client_id if known else f"Iv1.{number_of(slug)}",
        "node_id": f"A_{number_of(slug)}",
        "name": slug.replace("-", " ").title(),
        "owner": user(known.owner if known else "github"),
        "description": "",
        "external_url": f"{web()}/apps/{slug}",
        "html_url": f"{web()}/apps/{slug}",
        "created_at": known.created if known else "2018-07-30T09:30:17Z",
        "updated_at": known.created if known else "2018-07-30T09:30:17Z",
        "permissions": known.permissions if known else {},
        "events": [],
    }


def performed_via(login: str) -> Shape | None:
    """The App that wrote for a bot; people write themselves."""
    return app(login) if login.endswith("[bot]") else None
