"""Judges the end of a case from what both servers hold and the jobs printed. It shares no code with the product.

Pure: each rule takes the evidence and yields sentences, one for each violation.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from tools.faults.truth import Evidence, JobEnd, Record

LIVE = ("queued", "in_progress")
SET_STATUS, CLOSE_CHECK_RUN = "POST statuses/SHA", "PATCH check-runs/N"
FINAL = ("success", "failure", "error")
PASSING = ("passed", "improved", "no_baseline", "accepted")
TAG = "Best Performance"
MARKED = "<!-- clearml-ci: "
ISSUE = "<!-- clearml-ci audit: "
# With a frame, which those that a user's code prints in a case do not have.
TRACEBACK = re.compile(r"Traceback \(most recent call last\):(?:\\n|\s)*File \\*\"")
SLACK = 30.0  # seconds beyond its deadline in which a job stops its run
MEANING = {0: ("success",), 1: ("failure",), 2: ("error", "failure"), 3: ("failure",), 4: ("error", "failure")}
_OUTCOME = re.compile(r"<!-- clearml-ci outcome: (\w+) -->")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Violation:
    """A rule that does not hold, and what was seen."""

    rule: str
    text: str


def judge(evidence: Evidence) -> list[Violation]:
    """All violations, rule by rule."""
    return [Violation(rule, text) for rule, find in RULES.items() for text in find(evidence)]


def _green_without_evidence(seen: Evidence) -> Iterator[str]:
    """A success was shown, if only for a moment, for a commit whose model does not hold."""
    for commit, shown in seen.world.commits.items():
        if commit in seen.truth.green:
            continue
        for status in shown["statuses"]:
            if status["state"] == "success":
                yield f"status of {commit[:8]} was success: {status['description']}"
        for run in shown["check_runs"]:
            if run["conclusion"] == "success":
                yield f"check run '{run['name']}' of {commit[:8]} is success"


def _green_without_run(seen: Evidence) -> Iterator[str]:
    """A commit ended green, and no run in ClearML holds a verdict for it that passes.

    The status is set before the verdict is stored, so a step that is killed in between leaves it for a moment.
    """
    passed = {document.get("told_at") for document in _verdicts(seen) if document.get("exit_code") == 0}
    for commit, shown in seen.world.commits.items():
        states = {status["state"] for status in _latest(seen, commit).values()}
        states |= {run["conclusion"] for run in shown["check_runs"]}
        if "success" in states and commit not in passed:
            yield f"{commit[:8]} is green, and no run holds a verdict for it that passes"


def _job_passes_wrongly(seen: Evidence) -> Iterator[str]:
    for job in seen.jobs:
        if job.exit_code == 0 and job.waits and job.commit and job.commit not in seen.truth.green:
            yield f"{job.name} ended with 0 for {job.commit[:8]}: {job.outputs.get('exit_reason', '')}"


def _several_comments(seen: Evidence) -> Iterator[str]:
    for pull in seen.world.pulls:
        ours = _ours(pull)
        if len(ours) > 1:
            yield f"{len(ours)} comments on #{pull['number']}"


def _several_issues(seen: Evidence) -> Iterator[str]:
    ours = [issue for issue in seen.world.issues if (issue.get("body") or "").startswith(ISSUE)]
    if len(ours) > 1:
        yield f"{len(ours)} issues of audits"


def _not_one_best(seen: Evidence) -> Iterator[str]:
    tagged = [task for task in seen.world.tasks if _is_best(task)]
    names = ", ".join(f"{task['id'][:8]} ({task['status']})" for task in tagged) or "none"
    if len(tagged) != 1:
        yield f"{len(tagged)} tasks carry the tag: {names}"
    elif seen.truth.bests and tagged[0]["id"] not in seen.truth.bests:
        yield f"the wrong task carries the tag: {names}"


def _wrong_best(seen: Evidence) -> Iterator[str]:
    """The job ended with 0, and the tag is not on the task that must have it."""
    best = seen.truth.best_if_done
    tagged = {task["id"] for task in seen.world.tasks if _is_best(task)}
    if best and seen.jobs and seen.jobs[-1].exit_code == 0 and tagged != {best}:
        yield f"{seen.jobs[-1].name} ended with 0, but the tag is not on {best[:8]}"


def _still_running(seen: Evidence) -> Iterator[str]:
    for task in seen.world.tasks:
        if task["status"] in LIVE and _is_ours(task):
            yield f"{_purpose(task)} '{task['name']}' {task['id'][:8]} is {task['status']}"


def _no_final_status(seen: Evidence) -> Iterator[str]:
    for commit in seen.truth.commits:
        own = [job for job in seen.jobs if job.commit == commit]
        if own and SET_STATUS in seen.refused and all(job.exit_code == 4 for job in own):
            continue
        for context, status in _latest(seen, commit).items():
            if status["state"] not in FINAL:
                link = status.get("target_url") or "no link"
                yield f"'{context}' of {commit[:8]} is {status['state']} ({link})"
        killed = own and all(job.signalled == "SIGKILL" for job in own)
        if not _latest(seen, commit) and not killed and not _told_red(seen, own):
            yield f"{commit[:8]} has no status at all"


def _told_red(seen: Evidence, jobs: list[JobEnd]) -> bool:
    """True if GitHub refuses every status, and each job is red and warns of it: no other process has a token."""
    warned = [re.search("^::warning::.* the commit status of ", job.log, re.MULTILINE) for job in jobs]
    return SET_STATUS in seen.refused and bool(jobs) and all(warned) and all(job.exit_code for job in jobs)


def _open_check_run(seen: Evidence) -> Iterator[str]:
    for commit, shown in seen.world.commits.items():
        for run in shown["check_runs"]:
            if run["status"] != "completed" and CLOSE_CHECK_RUN not in seen.refused:
                yield f"check run '{run['name']}' {run['id']} of {commit[:8]} is {run['status']}"


def _check_run_differs(seen: Evidence) -> Iterator[str]:
    """The newest check run is green beside a status that is not, or the other way round."""
    for commit in seen.truth.commits:
        runs = seen.world.commits.get(commit, {}).get("check_runs", [])
        newest = max(runs, key=lambda run: run["id"], default=None)
        states = {status["state"] for status in _latest(seen, commit).values()}
        ended = newest and newest["conclusion"] and states & set(FINAL)
        if newest and ended and (newest["conclusion"] == "success") != ("success" in states):
            yield f"check run of {commit[:8]} is {newest['conclusion']}, its status {', '.join(sorted(states))}"


def _comment_differs(seen: Evidence) -> Iterator[str]:
    """The comment about the head passes and the head's status does not, or the other way round."""
    for pull in seen.world.pulls:
        latest = _latest(seen, pull["head"]["sha"]).values()
        found = [_OUTCOME.search(comment["body"]) for comment in _ours(pull) if _is_about(comment, pull["head"]["sha"])]
        outcomes = {match[1] for match in found if match}
        states = {status["state"] for status in latest if status["state"] in FINAL}
        if len(outcomes) == 1 and len(states) == 1 and (outcomes <= set(PASSING)) != (states == {"success"}):
            yield f"comment of #{pull['number']} is {outcomes.pop()}, the status of its head {states.pop()}"


def _comment_lost(seen: Evidence) -> Iterator[str]:
    for job in seen.jobs:
        pulls = [pull for pull in seen.world.pulls if pull["number"] == job.pull]
        commented = any(_is_about(comment, pull["head"]["sha"]) for pull in pulls for comment in _ours(pull))
        warned = bool(seen.refused) and "::warning::" in job.log
        if job.pull and job.waits and job.exit_code in (0, 1, 3) and not commented and not warned:
            yield f"{job.name} ended with {job.exit_code}, and its pull request has no comment about its head"


def _exit_code_differs(seen: Evidence) -> Iterator[str]:
    """The status as the job left it contradicts its exit code."""
    for job in seen.jobs:
        left = _left_by(seen, job)
        if job.signalled or not left or not job.waits or job.exit_code not in MEANING or _is_shared(seen, job):
            continue
        if left["state"] not in MEANING[job.exit_code] and not (job.exit_code == 4 and SET_STATUS in seen.refused):
            yield f"{job.name} ended with {job.exit_code}, and left the status {left['state']}: {left['description']}"


def _late_word(seen: Evidence) -> Iterator[str]:
    """A run went on after its job had reported an error, and changed the status."""
    for job in seen.jobs:
        if job.exit_code != 4 or job.signalled == "SIGKILL" or not job.commit or _is_shared(seen, job):
            continue
        for status in seen.world.commits.get(job.commit, {}).get("statuses", []):
            if status["id"] not in job.statuses and status["state"] != "error":
                yield f"{job.name} ended with an error; then the status became {status['state']}"


def _double_run(seen: Evidence) -> Iterator[str]:
    started = [task for task in seen.world.tasks if task["type"] == "controller" and task["status"] != "created"]
    count = Counter(task["place"].rpartition("/.pipelines/")[2] for task in started)
    for pipeline, most in seen.truth.runs.items():
        if count[pipeline] > most:
            yield f"{count[pipeline]} runs of {pipeline}, and {most} were asked for"


def _stray_draft(seen: Evidence) -> Iterator[str]:
    """A run or a launched task that was made and never started; a template is marked as one."""
    for task in seen.world.tasks:
        is_template = (task.get("runtime") or {}).get("clearml_ci_template") == task["id"]
        if task["status"] == "created" and task["type"] != "data_processing" and not is_template:
            yield f"the draft '{task['name']}' {task['id'][:8]} in '{task['place']}' is no template, and never runs"


def _double_launch(seen: Evidence) -> Iterator[str]:
    launched = [task for task in seen.world.tasks if _purpose(task) in ("probe", "training", "tests")]
    count = Counter((task.get("runtime") or {}).get("clearml_ci_run") for task in launched)
    for run, number in count.items():
        if number > seen.truth.launches:
            yield f"run {str(run)[:8]} launched {number} tasks"


def _unmarked_task(seen: Evidence) -> Iterator[str]:
    """A child of a run that carries no mark: nothing would ever end it. A draft of a step is none: it never runs."""
    runs = {task["id"] for task in seen.world.tasks if task["type"] == "controller"}
    for task in seen.world.tasks:
        draft = task["status"] == "created" and task["type"] == "data_processing"
        if task.get("parent") in runs and task["type"] != "controller" and not draft and not _is_ours(task):
            yield f"'{task['name']}' {task['id'][:8]} of run {task['parent'][:8]} carries no mark ({task['status']})"


def _double_move(seen: Evidence) -> Iterator[str]:
    """One merge is in the ledger twice as done."""
    ledgers = [((task.get("configuration") or {}).get("ledger") or {}, task) for task in seen.world.tasks]
    moves = [json.loads(item["value"]) for item, _ in ledgers if item.get("value")]
    done = Counter(
        (move["merge_commit"], move["to"]) for move in moves if move["state"] == "moved" and not move["undoes"]
    )
    for (merge, task), number in done.items():
        if number > 1:
            yield f"the ledger has {number} moves of the merge {merge[:8]} to {task[:8]}"


def _secret(seen: Evidence) -> Iterator[str]:
    texts = [(surface, text, _BLANKS.sub("", text.replace("\\n", ""))) for surface, text in _texts(seen)]
    for what, value in seen.secrets.items():
        forms = _spellings(value)
        places = [surface for surface, text, plain in texts if any(form in text or form in plain for form in forms)]
        if places:
            yield f"{what} in {_listed(places)}"


def _traceback(seen: Evidence) -> Iterator[str]:
    for surface, text in _texts(seen):
        if TRACEBACK.search(text) and not surface.startswith("console of"):
            yield f"in {surface}: {_last_line_of_traceback(text)}"


def _traceback_in_console(seen: Evidence) -> Iterator[str]:
    for surface, text in _texts(seen):
        if TRACEBACK.search(text) and surface.startswith("console of"):
            yield f"in the {surface}: {_last_line_of_traceback(text)}"


def _too_late(seen: Evidence) -> Iterator[str]:
    for job in seen.jobs:
        if job.hung:
            yield f"{job.name} did not end: it was killed {job.seconds - job.deadline:.0f} s after its deadline"
        elif job.seconds > job.deadline + SLACK:
            yield f"{job.name} ended {job.seconds - job.deadline:.0f} s after its deadline"


def _unclear_end(seen: Evidence) -> Iterator[str]:
    """A job that ended by itself names its outcome, and an error in one line."""
    for job in seen.jobs:
        if job.signalled == "SIGKILL" or job.hung:
            continue
        if job.exit_code not in MEANING:
            yield f"{job.name} ended with {job.exit_code}"
        elif job.waits and "outcome" not in job.outputs and (job.commit or job.exit_code):
            yield f"{job.name} ended with {job.exit_code}, and its outputs name no outcome"
        elif job.exit_code in (2, 4) and job.log.count("::error::") != 1:
            yield f"{job.name} ended with {job.exit_code} and {job.log.count('::error::')} error lines"


def _clean_case_differs(seen: Evidence) -> Iterator[str]:
    for job in seen.jobs if seen.clean else ():
        outcome = job.outputs.get("outcome", "")
        if (seen.truth.outcome and outcome not in (seen.truth.outcome, "regressed")) or job.exit_code == 4:
            yield f"{job.name} ended {outcome or job.exit_code} unharmed, not {seen.truth.outcome}"


RULES: dict[str, Callable[[Evidence], Iterator[str]]] = {
    "green without evidence": _green_without_evidence,
    "green without a run": _green_without_run,
    "job passes wrongly": _job_passes_wrongly,
    "secret": _secret,
    "not one best": _not_one_best,
    "wrong best": _wrong_best,
    "changed after an error": _late_word,
    "double run": _double_run,
    "double launch": _double_launch,
    "double move": _double_move,
    "still running": _still_running,
    "unmarked task": _unmarked_task,
    "no final status": _no_final_status,
    "exit code differs from status": _exit_code_differs,
    "open check run": _open_check_run,
    "check run differs": _check_run_differs,
    "several comments": _several_comments,
    "several issues": _several_issues,
    "comment differs from status": _comment_differs,
    "comment lost": _comment_lost,
    "traceback": _traceback,
    "too late": _too_late,
    "unclear end": _unclear_end,
    "traceback in a console": _traceback_in_console,
    "stray draft": _stray_draft,
    "clean case differs": _clean_case_differs,
}


def _is_ours(task: Record) -> bool:
    return bool((task.get("runtime") or {}).get("clearml_ci_task") == task["id"])


def _purpose(task: Record) -> str:
    return str((task.get("runtime") or {}).get("clearml_ci_purpose") or "") if _is_ours(task) else ""


def _is_best(task: Record) -> bool:
    return TAG in (task.get("tags") or []) and "archived" not in (task.get("system_tags") or [])


def _ours(pull: Record) -> list[Record]:
    return [comment for comment in pull["comments"] if (comment.get("body") or "").startswith(MARKED)]


def _is_about(comment: Record, commit: str) -> bool:
    return commit[:10] in (comment.get("body") or "")


def _latest(seen: Evidence, commit: str) -> dict[str, Record]:
    """The newest status of each context."""
    latest: dict[str, Record] = {}
    for status in seen.world.commits.get(commit, {}).get("statuses", []):
        latest.setdefault(status["context"], status)
    return latest


def _left_by(seen: Evidence, job: JobEnd) -> Record | None:
    """The newest status of a job's commit when the job had just ended."""
    statuses = seen.world.commits.get(job.commit, {}).get("statuses", [])
    return next((status for status in statuses if status["id"] in job.statuses), None)


def _is_shared(seen: Evidence, job: JobEnd) -> bool:
    """True if another job is about the same commit."""
    return sum(other.commit == job.commit for other in seen.jobs) > 1


def _verdicts(seen: Evidence) -> Iterator[Record]:
    """Those that runs hold, and those in the results of the steps that reported them."""
    for task in seen.world.tasks:
        result = ((task.get("configuration") or {}).get("result") or {}).get("value") or "{}"
        stored = [json.loads(text) for text in (task["files"].get("verdict", ""), result) if text.startswith("{")]
        for document in stored:
            found: Record | None = document.get("verdict", document) if isinstance(document, dict) else None
            yield from [found] if found and "exit_code" in found else []


def _spellings(value: str) -> list[str]:
    """A secret as it is, its second half, URL-encoded and in base64; of several lines each long one."""
    lines = [line for line in value.splitlines() if len(line) >= 16 and not line.startswith("-----")] or [value]
    encoded = [base64.b64encode(value.encode()).decode().rstrip("="), value[len(value) // 2 :]]
    return list(dict.fromkeys([*lines, *(quote(line, safe="") for line in lines), *encoded]))


def _texts(seen: Evidence) -> Iterator[tuple[str, str]]:
    """Every text that the product may have written, with the place that holds it."""
    for job in seen.jobs:
        yield f"log of the job {job.name}", job.log
        yield f"summary of the job {job.name}", job.summary
        yield f"outputs of the job {job.name}", json.dumps(dict(job.outputs))
    for commit, shown in seen.world.commits.items():
        yield f"statuses of {commit[:8]}", json.dumps(shown["statuses"], ensure_ascii=False)
        yield f"check runs of {commit[:8]}", json.dumps(shown["check_runs"], ensure_ascii=False)
    for pull in (*seen.world.pulls, *seen.world.issues):
        for comment in pull["comments"]:
            yield f"a comment on #{pull['number']}", comment.get("body") or ""
    for issue in seen.world.issues:
        yield f"issue #{issue['number']}", issue.get("body") or ""
    for task in seen.world.tasks:
        yield from _texts_of_task(task)


def _texts_of_task(task: Record) -> Iterator[tuple[str, str]]:
    """A launched task prints what it likes, and its console is its own."""
    what = f"{_purpose(task) or task['type']} '{task['name']}'"
    record = {key: value for key, value in task.items() if key not in ("console", "files")}
    yield f"record of {what}", json.dumps(record, ensure_ascii=False)
    if task["type"] in ("controller", "data_processing"):
        yield f"console of {what}", task["console"]
    for name, text in task["files"].items():
        yield f"artifact '{name}' of {what}", text


def _last_line_of_traceback(text: str) -> str:
    """The exception of the last traceback; the lines of a JSON text are escaped."""
    last = list(TRACEBACK.finditer(text))[-1].end()
    lines = text[last:].replace("\\n", "\n").splitlines()[1:]
    return next((line.strip() for line in lines if line.strip() and not line.startswith(" ")), "")[:160]


def _listed(places: list[str]) -> str:
    shown = ", ".join(places[:4])
    return f"{shown} and {len(places) - 4} more places" if len(places) > 4 else shown
