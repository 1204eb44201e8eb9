"""Pull requests, issues, their comments and labels."""

from flask import Blueprint, Response, jsonify, request

from sandbox.github_server import access, git, refusals, shapes
from sandbox.github_server.store import Comment, Issue, Pull, Repository, now

blueprint = Blueprint("conversations", __name__, url_prefix="/repos/<owner>/<name>")
Answer = Response | tuple[Response, int]
EITHER = ("issues", "pull_requests")


@blueprint.get("/pulls")
def list_pulls(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "pull_requests")
    state = request.args.get("state", "open")
    found = [access.pull(repo, number) for number in sorted(repo.pulls, reverse=True)]
    wanted = [one for one in found if state in ("all", one.issue.state)]
    return access.page(wanted, lambda one: shapes.pull(access.store(), repo, one))


@blueprint.post("/pulls")
def create_pull(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("write", "pull_requests")
    given = access.body()
    title, base = access.text(given, "PullRequest", "title"), access.text(given, "PullRequest", "base")
    head_owner, _, branch = access.text(given, "PullRequest", "head").rpartition(":")
    head_owner = head_owner or repo.owner
    head = access.store().repositories.get(f"{head_owner}/{repo.name}".lower())
    for where, field, ref in ((head, "head", branch), (repo, "base", base)):
        _require_branch(where, field, ref)
    one = Pull(
        issue=_open_issue(repo, title, str(given.get("body") or "")),
        head_owner=head_owner,
        head_repository=f"{head_owner}/{repo.name}".lower(),
        head_branch=branch,
        base_branch=base,
    )
    repo.pulls[one.issue.number] = one
    access.refresh(repo, one)
    return jsonify(shapes.pull(access.store(), repo, one)), 201


def _require_branch(repo: Repository | None, field: str, branch: str) -> None:
    try:
        git.commit(repo.path if repo else access.store().directory, f"refs/heads/{branch}")
    except git.GitError as error:
        raise refusals.invalid("PullRequest", field) from error


@blueprint.get("/pulls/<int:number>")
def get_pull(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "pull_requests")
    return jsonify(shapes.pull(access.store(), repo, access.pull(repo, number)))


@blueprint.patch("/pulls/<int:number>")
@blueprint.patch("/issues/<int:number>")
def edit(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("write", *EITHER)
    one, given = access.issue(repo, number), access.body()
    if given.get("state", "open") not in ("open", "closed"):
        raise refusals.invalid("Issue", "state")
    if number in repo.pulls:
        access.pull(repo, number)  # its head is kept as it is now
    for field in ("title", "body", "state", "labels"):
        if given.get(field) is not None:
            setattr(one, field, given[field])
    if number in repo.pulls:
        return jsonify(shapes.pull(access.store(), repo, access.pull(repo, number)))
    return jsonify(shapes.issue(repo, one))


@blueprint.get("/pulls/<int:number>/files")
def pull_files(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "pull_requests")
    one = access.pull(repo, number)
    base = git.commit(repo.path, f"refs/heads/{one.base_branch}")
    found = git.changed_files(repo.path, base, one.head_sha)
    return access.page(found, lambda file: {"filename": file[0], "status": file[1], "sha": one.head_sha})


@blueprint.get("/pulls/<int:number>/commits")
def pull_commits(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "pull_requests")
    one = access.pull(repo, number)
    base = git.commit(repo.path, f"refs/heads/{one.base_branch}")
    return access.page(git.between(repo.path, base, one.head_sha), lambda sha: shapes.commit(repo, sha))


@blueprint.get("/issues")
def list_issues(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", "issues")
    state, creator = request.args.get("state", "open"), request.args.get("creator")
    labels = {label for label in request.args.get("labels", "").split(",") if label}
    found = [
        one
        for _, one in sorted(repo.issues.items(), reverse=True)
        if state in ("all", one.state) and labels <= set(one.labels) and creator in (None, one.author)
    ]
    return access.page(found, lambda one: shapes.issue(repo, one))


@blueprint.post("/issues")
def create_issue(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("write", "issues")
    given = access.body()
    one = _open_issue(repo, access.text(given, "Issue", "title"), str(given.get("body") or ""))
    one.labels = list(given.get("labels") or [])
    return jsonify(shapes.issue(repo, one)), 201


def _open_issue(repo: Repository, title: str, body: str) -> Issue:
    if len(body) > access.BODY_LIMIT:
        raise refusals.invalid("Issue", "body", message="body is too long (maximum is 65536 characters)")
    one = Issue(max(repo.issues, default=0) + 1, access.token().login, title, body)
    repo.issues[one.number] = one
    return one


@blueprint.get("/issues/<int:number>")
def get_issue(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", *EITHER)
    return jsonify(shapes.issue(repo, access.issue(repo, number)))


@blueprint.get("/issues/<int:number>/comments")
def list_comments(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", *EITHER)
    one = access.issue(repo, number)
    return access.page(one.comments, lambda said: shapes.comment(repo, one, said))


@blueprint.post("/issues/<int:number>/comments")
def create_comment(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    one = access.issue(repo, number)
    access.need("write", *EITHER)
    said = Comment(access.store().new_id(), access.token().login, access.text(access.body(), "IssueComment", "body"))
    one.comments.append(said)
    return jsonify(shapes.comment(repo, one, said)), 201


@blueprint.get("/issues/comments/<int:number>")
def get_comment(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", *EITHER)
    one, said = _comment(repo, number)
    return jsonify(shapes.comment(repo, one, said))


@blueprint.patch("/issues/comments/<int:number>")
def edit_comment(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    one, said = _own_comment(repo, number)
    said.body, said.updated = access.text(access.body(), "IssueComment", "body"), now()
    return jsonify(shapes.comment(repo, one, said))


@blueprint.delete("/issues/comments/<int:number>")
def delete_comment(owner: str, name: str, number: int) -> Answer:
    one, said = _own_comment(access.repository(owner, name), number)
    one.comments.remove(said)
    return Response(status=204)


def _own_comment(repo: Repository, number: int) -> tuple[Issue, Comment]:
    """Others' comments may be changed by those who can write to the repository, and by nobody else."""
    access.need("write", *EITHER)
    one, said = _comment(repo, number)
    if access.token().login != said.author and not access.has_write(repo, access.token().login):
        raise refusals.forbidden(access.token().kind)
    return one, said


def _comment(repo: Repository, number: int) -> tuple[Issue, Comment]:
    for one in repo.issues.values():
        for said in one.comments:
            if said.id == number:
                return one, said
    raise refusals.not_found()


@blueprint.get("/issues/<int:number>/labels")
def list_issue_labels(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("read", *EITHER)
    return access.page(access.issue(repo, number).labels, lambda name: shapes.label(repo, name))


@blueprint.post("/issues/<int:number>/labels")
def add_labels(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need("write", *EITHER)
    one, given = access.issue(repo, number), request.get_json(force=True)
    names = given.get("labels", []) if isinstance(given, dict) else given
    one.labels.extend(name for name in names if name not in one.labels)
    return jsonify([shapes.label(repo, name) for name in one.labels])


@blueprint.delete("/issues/<int:number>/labels/<path:label>")
def remove_label(owner: str, name: str, number: int, label: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("write", *EITHER)
    one = access.issue(repo, number)
    if label not in one.labels:
        raise refusals.RefusalError(404, "Label does not exist")
    one.labels.remove(label)
    return jsonify([shapes.label(repo, name) for name in one.labels])


@blueprint.get("/labels")
def list_labels(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    return access.page(sorted(repo.labels), lambda name: shapes.label(repo, name))


@blueprint.post("/labels")
def create_label(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need("write", "issues")
    given = access.body()
    label = access.text(given, "Label", "name")
    if label in repo.labels:
        raise refusals.invalid("Label", "name", code="already_exists")
    repo.labels[label] = str(given.get("color") or "ededed")
    return jsonify(shapes.label(repo, label)), 201
