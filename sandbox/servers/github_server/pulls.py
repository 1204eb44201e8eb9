"""Pull requests: opened, listed, edited, merged."""

from flask import Blueprint, Response, jsonify, request

from sandbox.servers.github_server import (
    access,
    changes,
    conversation_shapes,
    git,
    history,
    incoming,
    issues,
    merging,
    refusals,
    shapes,
)
from sandbox.servers.github_server.store import Merge, Pull, Repository

blueprint = Blueprint("pulls", __name__, url_prefix="/repos/<owner>/<name>/pulls")
Answer = Response | tuple[Response, int]


@blueprint.get("")
def list_pulls(owner: str, name: str) -> Answer:
    repo = _readable(owner, name)
    oldest_first = request.args.get("direction", "desc") == "asc"
    pulls = [access.pull(repo, number) for number in sorted(repo.pulls, reverse=not oldest_first)]
    return incoming.page([one for one in pulls if _wanted(one)], lambda one: conversation_shapes.pull(repo, one))


def _readable(owner: str, name: str) -> Repository:
    repo = access.repository(owner, name)
    access.need_read(repo, "pull_requests")
    return repo


def _wanted(one: Pull) -> bool:
    head = f"{one.head_owner}:{one.head_branch}"
    return (
        request.args.get("state", "open") in ("all", one.issue.state)
        and request.args.get("head", head) == head
        and request.args.get("base", one.base_branch) == one.base_branch
    )


@blueprint.post("")
def create_pull(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_write(repo, "pull_requests", least="read")
    given = incoming.body()
    title, base, head = incoming.required(given, "title", "base", "head")
    body = incoming.limited(given, "PullRequest")
    source, branch = _head(repo, head)
    base_sha = _proposed(repo, source, base, branch)
    one = Pull(
        id=access.store().new_id(),
        issue=issues.opened(repo, "PullRequest", title, body),
        head_owner=source.owner,
        head_repository=source.full_name.lower(),
        head_branch=branch,
        base_branch=base,
        base_sha=base_sha,
        draft=bool(given.get("draft")),
    )
    repo.pulls[one.issue.number] = one
    access.refresh(access.store(), repo, one)
    return jsonify(conversation_shapes.whole_pull(repo, one)), 201


def _head(repo: Repository, head: str) -> tuple[Repository, str]:
    """`branch`, or `owner:branch` of a fork."""
    owner, _, branch = head.rpartition(":")
    if not owner or owner.lower() == repo.owner.lower():
        return repo, branch
    family = (one for one in access.store().repositories.values() if one.fork_of == repo.full_name)
    source = next((one for one in family if one.owner.lower() == owner.lower()), None)
    if source is None:
        raise refusals.invalid("PullRequest", "head")
    return source, branch


def _proposed(repo: Repository, source: Repository, base: str, branch: str) -> str:
    """The commit of the base; both branches must exist, differ, and not be proposed already."""
    head_sha, base_sha = git.find(source.path, f"refs/heads/{branch}"), git.find(repo.path, f"refs/heads/{base}")
    for field, sha in (("head", head_sha), ("base", base_sha)):
        if sha is None:
            raise refusals.invalid("PullRequest", field)
    same = (one for one in repo.pulls.values() if one.issue.state == "open" and one.base_branch == base)
    if any((one.head_repository, one.head_branch) == (source.full_name.lower(), branch) for one in same):
        raise refusals.custom("PullRequest", f"A pull request already exists for {source.owner}:{branch}.")
    if not git.run(source.path, "rev-list", "-1", str(head_sha), *_unless(source, str(base_sha))).strip():
        raise refusals.custom("PullRequest", f"No commits between {base} and {branch}")
    return str(base_sha)


def _unless(source: Repository, base_sha: str) -> list[str]:
    """A fork may not hold the base's newest commits."""
    return [f"^{base_sha}"] if git.find(source.path, base_sha) else []


@blueprint.get("/<int:number>")
def get_pull(owner: str, name: str, number: int) -> Answer:
    repo = _readable(owner, name)
    return jsonify(conversation_shapes.whole_pull(repo, access.pull(repo, number)))


@blueprint.patch("/<int:number>")
def edit_pull(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    one, given = access.pull(repo, number), incoming.body()
    base = incoming.text(given, "base", one.base_branch)
    base_sha = git.find(repo.path, f"refs/heads/{base}")
    if base != one.base_branch and base_sha is None:
        raise refusals.invalid("PullRequest", "base")
    issues.edited(repo, one.issue, given)
    if base != one.base_branch:
        one.base_branch, one.base_sha = base, str(base_sha)
    return jsonify(conversation_shapes.whole_pull(repo, one))


@blueprint.get("/<int:number>/files")
def list_files(owner: str, name: str, number: int) -> Answer:
    repo = _readable(owner, name)
    one = access.pull(repo, number)
    found = changes.between(repo.path, merging.diff_base(repo, one), one.head_sha)
    return incoming.page(found, lambda file: shapes.changed_file(repo, one.head_sha, file))


@blueprint.get("/<int:number>/commits")
def list_commits(owner: str, name: str, number: int) -> Answer:
    repo = _readable(owner, name)
    one = access.pull(repo, number)
    found = git.between(repo.path, merging.diff_base(repo, one), one.head_sha)
    return incoming.page(found, lambda commit: shapes.commit(repo, commit))


@blueprint.get("/<int:number>/merge")
def is_merged(owner: str, name: str, number: int) -> Answer:
    if access.pull(_readable(owner, name), number).merge is None:
        raise refusals.not_found()
    return Response(status=204)


@blueprint.put("/<int:number>/merge")
def merge(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need_write(repo, "contents")
    one, given = access.pull(repo, number), incoming.body()
    method = incoming.text(given, "merge_method", "merge")
    if method not in merging.METHODS:
        raise refusals.invalid("PullRequest", "merge_method")
    if incoming.text(given, "sha", one.head_sha) != one.head_sha:
        raise refusals.RefusalError(409, "Head branch was modified. Review and try the merge again.")
    if one.draft:
        raise refusals.RefusalError(405, "Pull Request is still a draft")
    if one.issue.state == "closed":
        raise refusals.RefusalError(405, "Pull Request is not mergeable")
    words = (incoming.text(given, "commit_title"), incoming.text(given, "commit_message"))
    sha = _merged(repo, one, method, *words)
    return jsonify({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def _merged(repo: Repository, one: Pull, method: str, title: str, text: str) -> str:
    base, login = git.find(repo.path, f"refs/heads/{one.base_branch}") or one.base_sha, access.token().login
    subjects = [held.message.split("\n")[0] for held in git.between(repo.path, base, one.head_sha)]
    message = merging.message(one, method, title, text, subjects=subjects)
    try:
        sha = merging.combine(repo.path, base=base, head=one.head_sha, method=method, message=message, login=login)
    except git.GitError as error:
        raise refusals.RefusalError(405, "Pull Request is not mergeable") from error
    git.run(repo.path, "update-ref", f"refs/heads/{one.base_branch}", sha, base)
    one.base_sha = base
    one.merge = Merge(login, sha, tuple(held.sha for held in git.between(repo.path, base, sha)))
    history.happened(one.issue, "merged", commit=sha)
    issues.turned(repo, one.issue, "closed")
    return sha
