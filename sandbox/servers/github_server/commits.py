"""Code over the API: commits, branches, refs, comparisons, files at a ref."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.servers.github_server import access, conversation_shapes, diffs, errors, git, request_parsing, shapes
from sandbox.servers.github_server.store import Pull, Repository

blueprint = Blueprint("commits", __name__, url_prefix="/repos/<owner>/<name>")
Answer = Response | tuple[Response, int]
FILES_LIMIT = 300  # of a comparison; those beyond are left out without a notice
RAW = "application/vnd.github.raw"


def _readable(owner: str, name: str) -> Repository:
    repo = access.repository(owner, name)
    access.need_read(repo, "contents")
    return repo


@blueprint.get("/commits")
def list_commits(owner: str, name: str) -> Answer:
    repo = _readable(owner, name)
    if not git.refs(repo.path, "refs/heads/"):
        raise errors.ApiError(409, "Git Repository is empty.")
    start = git.find(repo.path, request.args.get("sha", repo.default_branch))
    if start is None:
        raise errors.not_found()
    found = git.commits(repo.path, start, name=request.args.get("path", ""))
    return request_parsing.page(found, lambda commit: shapes.commit(repo, commit))


@blueprint.get("/commits/<path:ref>")
def get_commit(owner: str, name: str, ref: str) -> Answer:
    repo = _readable(owner, name)
    commit = git.commit(repo.path, access.commit(repo, ref))
    files = diffs.between(repo.path, commit.parents[0] if commit.parents else diffs.EMPTY_TREE, commit.sha)
    added, removed = (sum(file.count(sign) for file in files) for sign in "+-")
    return jsonify(
        {
            **shapes.commit(repo, commit),
            "stats": {"total": added + removed, "additions": added, "deletions": removed},
            "files": [shapes.changed_file(repo, commit.sha, file) for file in files],
        }
    )


@blueprint.get("/git/commits/<sha>")
def get_git_commit(owner: str, name: str, sha: str) -> Answer:
    repo = _readable(owner, name)
    found = access.find(repo, sha)
    if found is None:
        raise errors.not_found()
    return jsonify(shapes.git_commit(repo, git.commit(repo.path, found)))


@blueprint.get("/commits/<sha>/pulls")
def list_pulls_of_commit(owner: str, name: str, sha: str) -> Answer:
    """List the pull requests that merged or propose the commit."""
    repo = access.repository(owner, name)
    access.need_read(repo, "pull_requests", "contents")
    commit = access.commit(repo, sha)
    pulls = [access.pull(repo, number) for number in sorted(repo.pulls)]
    return request_parsing.page(
        [pull for pull in pulls if _holds(repo, pull, commit)], lambda pull: conversation_shapes.pull(repo, pull)
    )


def _holds(repo: Repository, pull: Pull, commit: str) -> bool:
    proposed = [held.sha for held in git.between(repo.path, pull.base_sha, pull.head_sha)]
    return commit in proposed or (pull.merge is not None and commit in pull.merge.landed)


@blueprint.get("/branches")
def list_branches(owner: str, name: str) -> Answer:
    repo = _readable(owner, name)
    found = sorted(git.refs(repo.path, "refs/heads/").items())
    return request_parsing.page(
        found, lambda ref: _branch(repo, ref[0].removeprefix("refs/heads/"), shapes.link(repo, ref[1]))
    )


@blueprint.get("/branches/<path:branch>")
def get_branch(owner: str, name: str, branch: str) -> Answer:
    repo = _readable(owner, name)
    sha = git.find(repo.path, f"refs/heads/{branch}")
    if sha is None:
        raise errors.ApiError(404, "Branch not found")
    return jsonify(_branch(repo, branch, shapes.commit(repo, git.commit(repo.path, sha))))


def _branch(repo: Repository, branch: str, commit: dict[str, Any]) -> dict[str, Any]:
    url = f"{shapes.api()}/repos/{repo.full_name}/branches/{branch}"
    return {"name": branch, "commit": commit, "protected": False, "protection_url": f"{url}/protection"}


@blueprint.get("/git/ref/<path:ref>")
def get_ref(owner: str, name: str, ref: str) -> Answer:
    repo = _readable(owner, name)
    _refresh(repo)
    sha = git.refs(repo.path, f"refs/{ref}").get(f"refs/{ref}")
    if sha is None:
        raise errors.not_found()
    return jsonify(_ref(repo, f"refs/{ref}", sha))


@blueprint.get("/git/matching-refs/<path:prefix>")
def list_refs(owner: str, name: str, prefix: str) -> Answer:
    repo = _readable(owner, name)
    _refresh(repo)
    found = [ref for ref in git.refs(repo.path, "refs/").items() if ref[0].startswith(f"refs/{prefix}")]
    return request_parsing.page(found, lambda ref: _ref(repo, *ref))


@blueprint.delete("/git/refs/heads/<path:branch>")
def delete_branch(owner: str, name: str, branch: str) -> Answer:
    """Delete a branch, as "Delete branch" on a merged pull request does."""
    repo = access.repository(owner, name)
    access.need_write(repo, "contents")
    _refresh(repo)
    if git.find(repo.path, f"refs/heads/{branch}") is None:
        raise errors.ApiError(422, "Reference does not exist")
    git.run(repo.path, "update-ref", "-d", f"refs/heads/{branch}")
    return Response(status=204)


def _refresh(repo: Repository) -> None:
    for number in repo.pulls:
        access.pull(repo, number)


def _ref(repo: Repository, ref: str, sha: str) -> dict[str, Any]:
    kind = git.run(repo.path, "cat-file", "-t", sha).strip()
    base = f"{shapes.api()}/repos/{repo.full_name}/git"
    target = {"type": kind, "sha": sha, "url": f"{base}/{kind}s/{sha}"}
    return {"ref": ref, "node_id": f"REF_{ref}", "url": f"{base}/{ref}", "object": target}


@blueprint.get("/compare/<path:ends>")
def compare(owner: str, name: str, ends: str) -> Answer:
    repo = _readable(owner, name)
    found = [_resolve(repo, end) for end in ends.split("...")]
    if len(found) != 2 or None in found:
        raise errors.not_found()
    return jsonify(_comparison(repo, str(found[0]), str(found[1]), ends))


def _resolve(repo: Repository, end: str) -> str | None:
    """`ref`, or `owner:ref` and `owner:repository:ref` of a fork."""
    *fork, ref = end.split(":")
    if not fork:
        return access.find(repo, ref)
    other = access.store().repositories.get(f"{fork[0]}/{fork[1] if len(fork) > 1 else repo.name}".lower())
    if other is None or other is repo:
        return git.find(repo.path, ref) if other else None
    if git.find(other.path, f"refs/heads/{ref}"):
        git.fetch(repo.path, source=other.path, branch=ref, ref=f"refs/forks/{other.owner}/{ref}")
    return git.find(other.path, ref)


def _comparison(repo: Repository, base: str, head: str, ends: str) -> dict[str, Any]:
    merge_base = git.merge_base(repo.path, base, head)
    if merge_base is None:
        raise errors.ApiError(404, f"No common ancestor between {ends.replace('...', ' and ')}.")
    ahead, behind = git.between(repo.path, base, head), git.between(repo.path, head, base)
    changed = diffs.between(repo.path, merge_base, head)
    page = f"{shapes.web()}/{repo.full_name}/compare/{ends}"
    return {
        "url": f"{shapes.api()}/repos/{repo.full_name}/compare/{ends}",
        "html_url": page,
        "permalink_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "status": _standing(ahead=bool(ahead), behind=bool(behind)),
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "base_commit": shapes.commit(repo, git.commit(repo.path, base)),
        "merge_base_commit": shapes.commit(repo, git.commit(repo.path, merge_base)),
        "commits": [shapes.commit(repo, commit) for commit in ahead],
        "files": [shapes.changed_file(repo, head, file) for file in changed[:FILES_LIMIT]],
    }


def _standing(*, ahead: bool, behind: bool) -> str:
    if ahead and behind:
        return "diverged"
    return "ahead" if ahead else "behind" if behind else "identical"


@blueprint.get("/contents", defaults={"path": ""}, strict_slashes=False)
@blueprint.get("/contents/<path:path>")
def contents(owner: str, name: str, path: str) -> Answer:
    """Return a file, or the entries of a directory."""
    repo, path = _readable(owner, name), path.strip("/")
    ref = request.args.get("ref") or repo.default_branch
    commit = access.find(repo, ref)
    if commit is None:
        raise _without_commit(repo, ref)
    entries = git.listing(repo.path, commit, path)
    if entries is None:
        raise errors.not_found()
    if [entry.path for entry in entries] != [path]:
        return jsonify([shapes.entry(repo, ref, entry, whole=False) for entry in entries])
    if RAW in request.headers.get("Accept", ""):
        return Response(git.blob(repo.path, entries[0].sha), mimetype=f"{RAW}; charset=utf-8")
    return jsonify(shapes.entry(repo, ref, entries[0], whole=True))


def _without_commit(repo: Repository, ref: str) -> errors.ApiError:
    empty = not git.refs(repo.path, "refs/heads/")
    return errors.ApiError(404, "This repository is empty." if empty else f"No commit found for the ref {ref}")
