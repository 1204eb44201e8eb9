"""Pull requests: opened, listed, edited, merged."""

from flask import Blueprint, Response, jsonify, request

from sandbox.servers.github_server import (
    access,
    conversation_shapes,
    diffs,
    errors,
    git,
    issues,
    merging,
    request_parsing,
    shapes,
    timeline,
)
from sandbox.servers.github_server.store import Merge, Pull, Repository

blueprint = Blueprint("pulls", __name__, url_prefix="/repos/<owner>/<name>/pulls")
Answer = Response | tuple[Response, int]


@blueprint.get("")
def list_pulls(owner: str, name: str) -> Answer:
    repo = _readable(owner, name)
    oldest_first = request.args.get("direction", "desc") == "asc"
    pulls = [access.pull(repo, number) for number in sorted(repo.pulls, reverse=not oldest_first)]
    return request_parsing.page(
        [pull for pull in pulls if _matches(pull)], lambda pull: conversation_shapes.pull(repo, pull)
    )


def _readable(owner: str, name: str) -> Repository:
    repo = access.repository(owner, name)
    access.need_read(repo, "pull_requests")
    return repo


def _matches(pull: Pull) -> bool:
    head = f"{pull.head_owner}:{pull.head_branch}"
    return (
        request.args.get("state", "open") in ("all", pull.issue.state)
        and request.args.get("head", head) == head
        and request.args.get("base", pull.base_branch) == pull.base_branch
    )


@blueprint.post("")
def create_pull(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_write(repo, "pull_requests", least="read")
    given = request_parsing.body()
    title, base, head = request_parsing.required(given, "title", "base", "head")
    body = request_parsing.limited(given, "PullRequest")
    source, branch = _head(repo, head)
    base_sha = _proposed(repo, source, base, branch)
    pull = Pull(
        id=access.store().new_id(),
        issue=issues.opened(repo, "PullRequest", title, body),
        head_owner=source.owner,
        head_repository=source.full_name.lower(),
        head_branch=branch,
        base_branch=base,
        base_sha=base_sha,
        draft=bool(given.get("draft")),
    )
    repo.pulls[pull.issue.number] = pull
    access.refresh(access.store(), repo, pull)
    return jsonify(conversation_shapes.whole_pull(repo, pull)), 201


def _head(repo: Repository, head: str) -> tuple[Repository, str]:
    """`branch`, or `owner:branch` of a fork."""
    owner, _, branch = head.rpartition(":")
    if not owner or owner.lower() == repo.owner.lower():
        return repo, branch
    family = (fork for fork in access.store().repositories.values() if fork.fork_of == repo.full_name)
    source = next((fork for fork in family if fork.owner.lower() == owner.lower()), None)
    if source is None:
        raise errors.invalid("PullRequest", "head")
    return source, branch


def _proposed(repo: Repository, source: Repository, base: str, branch: str) -> str:
    """The commit of the base; both branches must exist, differ, and not be proposed already."""
    head_sha, base_sha = git.find(source.path, f"refs/heads/{branch}"), git.find(repo.path, f"refs/heads/{base}")
    for field, sha in (("head", head_sha), ("base", base_sha)):
        if sha is None:
            raise errors.invalid("PullRequest", field)
    same = (pull for pull in repo.pulls.values() if pull.issue.state == "open" and pull.base_branch == base)
    if any((pull.head_repository, pull.head_branch) == (source.full_name.lower(), branch) for pull in same):
        raise errors.custom("PullRequest", f"A pull request already exists for {source.owner}:{branch}.")
    if not git.run(source.path, "rev-list", "-1", str(head_sha), *_unless(source, str(base_sha))).strip():
        raise errors.custom("PullRequest", f"No commits between {base} and {branch}")
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
    pull, given = access.pull(repo, number), request_parsing.body()
    base = request_parsing.text(given, "base", pull.base_branch)
    base_sha = git.find(repo.path, f"refs/heads/{base}")
    if base != pull.base_branch and base_sha is None:
        raise errors.invalid("PullRequest", "base")
    issues.edited(repo, pull.issue, given)
    if base != pull.base_branch:
        pull.base_branch, pull.base_sha = base, str(base_sha)
    return jsonify(conversation_shapes.whole_pull(repo, pull))


@blueprint.get("/<int:number>/files")
def list_files(owner: str, name: str, number: int) -> Answer:
    repo = _readable(owner, name)
    pull = access.pull(repo, number)
    found = diffs.between(repo.path, merging.diff_base(repo, pull), pull.head_sha)
    return request_parsing.page(found, lambda file: shapes.changed_file(repo, pull.head_sha, file))


@blueprint.get("/<int:number>/commits")
def list_commits(owner: str, name: str, number: int) -> Answer:
    repo = _readable(owner, name)
    pull = access.pull(repo, number)
    found = git.between(repo.path, merging.diff_base(repo, pull), pull.head_sha)
    return request_parsing.page(found, lambda commit: shapes.commit(repo, commit))


@blueprint.get("/<int:number>/merge")
def is_merged(owner: str, name: str, number: int) -> Answer:
    if access.pull(_readable(owner, name), number).merge is None:
        raise errors.not_found()
    return Response(status=204)


@blueprint.put("/<int:number>/merge")
def merge(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need_write(repo, "contents")
    pull, given = access.pull(repo, number), request_parsing.body()
    method = request_parsing.text(given, "merge_method", "merge")
    if method not in merging.METHODS:
        raise errors.invalid("PullRequest", "merge_method")
    if request_parsing.text(given, "sha", pull.head_sha) != pull.head_sha:
        raise errors.ApiError(409, "Head branch was modified. Review and try the merge again.")
    if pull.draft:
        raise errors.ApiError(405, "Pull Request is still a draft")
    if pull.issue.state == "closed":
        raise errors.ApiError(405, "Pull Request is not mergeable")
    words = (request_parsing.text(given, "commit_title"), request_parsing.text(given, "commit_message"))
    sha = _merged(repo, pull, method, *words)
    return jsonify({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def _merged(repo: Repository, pull: Pull, method: str, title: str, text: str) -> str:
    base, login = git.find(repo.path, f"refs/heads/{pull.base_branch}") or pull.base_sha, access.token().login
    subjects = [held.message.split("\n")[0] for held in git.between(repo.path, base, pull.head_sha)]
    message = merging.message(pull, method, title, text, subjects=subjects)
    try:
        sha = merging.combine(repo.path, base=base, head=pull.head_sha, method=method, message=message, login=login)
    except git.GitError as error:
        raise errors.ApiError(405, "Pull Request is not mergeable") from error
    git.run(repo.path, "update-ref", f"refs/heads/{pull.base_branch}", sha, base)
    pull.base_sha = base
    pull.merge = Merge(login, sha, tuple(held.sha for held in git.between(repo.path, base, sha)))
    timeline.happened(pull.issue, "merged", commit=sha)
    issues.turned(repo, pull.issue, "closed")
    return sha
