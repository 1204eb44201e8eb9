import base64
import json
from typing import Any

import pytest

from tools.faults import oracle
from tools.faults.truth import Evidence, JobEnd, Record, Truth, World

COMMIT, RUN, BEST = "c" * 40, "a" * 32, "b" * 32
MARK = {"clearml_ci_task": RUN, "clearml_ci_run": RUN, "clearml_ci_purpose": "run"}
PROBE = {"clearml_ci_task": "e" * 32, "clearml_ci_run": RUN, "clearml_ci_purpose": "probe"}
COMMENT = f"<!-- clearml-ci: o/n#1 -->\n<!-- clearml-ci outcome: {{}} -->\n Commit `{COMMIT[:10]}`."
FRAME = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nKeyError: 1'


def status(state: str, number: int = 1, **more: Any) -> Record:
    given = {"context": "ClearML CI", "description": "", "target_url": None}
    return {"id": number, "state": state, **given, **more}


def check_run(conclusion: str | None, number: int = 1) -> Record:
    done = "in_progress" if conclusion is None else "completed"
    return {"id": number, "name": "verdict", "status": done, "conclusion": conclusion, "output": {}}


def task(number: str = RUN, **more: Any) -> Record:
    plain: dict[str, Any] = {
        "name": "t",
        "type": "controller",
        "status": "completed",
        "place": "CI/.pipelines/pr_check",
    }
    return {"id": number, **plain, "console": "", "files": {}, "runtime": {}, "tags": [], **more}


BEST_TASK = task(BEST, type="training", place="Digits", tags=["Best Performance"])
VERDICT = task(runtime=MARK, files={"verdict": json.dumps({"told_at": COMMIT, "exit_code": 0})})


def job(code: int | None = 0, **more: Any) -> JobEnd:
    given: dict[str, Any] = {
        "name": "check",
        "commit": COMMIT,
        "pull": 1,
        "waits": True,
        "signalled": "",
        "hung": False,
        "seconds": 5.0,
        "deadline": 40.0,
        "log": "::error::x" if code in (2, 4) else "",
        "summary": "",
        "outputs": {"outcome": "x"},
        "statuses": (1,),
    }
    return JobEnd(exit_code=code, **{**given, **more})


def world(
    *,
    statuses: tuple[Record, ...] = (status("success"),),
    runs: tuple[Record, ...] = (),
    comments: tuple[str, ...] = (COMMENT.format("improved"),),
    tasks: tuple[Record, ...] = (VERDICT, BEST_TASK),
    issues: tuple[Record, ...] = (),
) -> World:
    pull = {"number": 1, "head": {"sha": COMMIT}, "comments": [{"body": body} for body in comments]}
    return World(tasks, {COMMIT: {"statuses": list(statuses), "check_runs": list(runs)}}, (pull,), issues)


def truth(*, green: bool = True, **more: Any) -> Truth:
    given: dict[str, Any] = {"bests": {BEST}, "runs": {"pr_check": 1}, "outcome": "improved"}
    return Truth(green={COMMIT} if green else set(), commits=[COMMIT], pulls=[1], **{**given, **more})


def rules(
    seen: World, *jobs: JobEnd, believed: Truth | None = None, secrets: dict[str, str] | None = None, **more: Any
) -> set[str]:
    evidence = Evidence(seen, jobs or (job(),), believed or truth(), secrets or {}, **more)
    return {violation.rule for violation in oracle.judge(evidence)}


def test_judge__a_good_end__no_violation() -> None:
    assert rules(world(runs=(check_run("success"),))) == set()


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (world(statuses=(status("failure", 2), status("success"))), "green without evidence"),
        (world(statuses=(status("failure"),), runs=(check_run("success"),)), "green without evidence"),
    ],
    ids=["a status, if only for a moment", "a check run"],
)
def test_judge__green_for_a_bad_model__is_found(seen: World, expected: str) -> None:
    assert expected in rules(seen, job(1), believed=truth(green=False))


def test_judge__green_and_no_run_says_so__is_found() -> None:
    assert rules(world(tasks=(BEST_TASK,))) == {"green without a run"}


def test_judge__exit_0_for_a_bad_model__is_found() -> None:
    assert "job passes wrongly" in rules(world(), believed=truth(green=False))


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ((VERDICT,), {"not one best"}),
        ((VERDICT, BEST_TASK, {**BEST_TASK, "id": "d" * 32}), {"not one best"}),
        ((VERDICT, {**BEST_TASK, "id": "d" * 32}), {"not one best"}),
        ((VERDICT, {**BEST_TASK, "system_tags": ["archived"]}), {"not one best"}),
        ((VERDICT, BEST_TASK, {**BEST_TASK, "id": "d" * 32, "system_tags": ["archived"]}), set()),
    ],
    ids=["none", "two", "a wrong one", "only an archived one", "an archived one beside it"],
)
def test_judge__the_tag__is_on_one_live_task(tasks: tuple[Record, ...], expected: set[str]) -> None:
    assert rules(world(tasks=tasks)) == expected


def test_judge__job_done_and_the_tag_elsewhere__is_found() -> None:
    assert rules(world(), believed=truth(best_if_done="d" * 32)) == {"wrong best"}
    assert "wrong best" not in rules(world(), job(4), believed=truth(best_if_done="d" * 32))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (task("e" * 32, type="testing", status="in_progress", runtime={"clearml_ci_task": "e" * 32}), "still running"),
        (task("e" * 32, type="testing", parent=RUN), "unmarked task"),
        (task("e" * 32, status="created"), "stray draft"),
        (task("e" * 32, type="testing", status="created", system_tags=["archived"]), "stray draft"),
        (task("e" * 32), "double run"),
        (task("e" * 32, type="testing", runtime=PROBE), "double launch"),
    ],
    ids=["runs on", "no mark", "a draft", "an archived draft", "a second run", "a launch that was not asked for"],
)
def test_judge__a_task_too_many__is_found(more: Record, expected: str) -> None:
    assert expected in rules(world(tasks=(VERDICT, BEST_TASK, more)))


def test_judge__a_step_that_a_killed_controller_left_as_a_draft__is_no_violation() -> None:
    draft = task("e" * 32, type="data_processing", parent=RUN, status="created")
    assert rules(world(tasks=(VERDICT, BEST_TASK, draft))) == set()


def test_judge__a_clone_with_a_copied_mark__is_nobodys_and_may_run() -> None:
    clone = task("e" * 32, type="testing", status="in_progress", runtime=MARK)
    assert rules(world(tasks=(VERDICT, BEST_TASK, clone))) == set()


@pytest.mark.parametrize(
    ("statuses", "code", "expected"),
    [
        ((status("pending"),), 0, {"no final status", "exit code differs from status"}),
        ((), 4, {"no final status"}),
        ((status("failure"),), 0, {"exit code differs from status", "comment differs from status"}),
        ((status("error"),), 4, {"comment differs from status"}),
    ],
    ids=["pending", "none", "another one", "an error beside a comment that passes"],
)
def test_judge__the_status__is_final_and_what_the_job_says(
    statuses: tuple[Record, ...], code: int, expected: set[str]
) -> None:
    assert rules(world(statuses=statuses), job(code)) == expected


def test_judge__a_status_changed_after_an_error__is_found() -> None:
    seen = world(statuses=(status("success", 2), status("error")))
    assert "changed after an error" in rules(seen, job(4, statuses=(1,)))
    assert "changed after an error" not in rules(seen, job(4, statuses=(1, 2)))


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ((check_run(None),), {"open check run"}),
        ((check_run("failure"),), {"check run differs"}),
        ((check_run("failure"), check_run("success", 2)), set()),
    ],
    ids=["open", "red beside green", "red before green"],
)
def test_judge__check_runs__end_as_the_status_does(runs: tuple[Record, ...], expected: set[str]) -> None:
    assert rules(world(runs=runs)) == expected


def test_judge__two_comments_and_two_issues__are_found() -> None:
    issue = {"number": 2, "body": "<!-- clearml-ci audit: o/n -->", "comments": []}
    seen = world(comments=(COMMENT.format("improved"),) * 2, issues=(issue, issue))
    assert rules(seen) == {"several comments", "several issues"}


WARNING = "::warning::ClearML CI: GitHub refused the commit status of aaaaaaaaaa of octo-owner/digits: 403; rerun later"


@pytest.mark.parametrize(
    ("exit_code", "log", "refused", "found"),
    [
        pytest.param(1, WARNING, {"POST statuses/SHA"}, False, id="red and told"),
        pytest.param(0, WARNING, {"POST statuses/SHA"}, True, id="green job"),
        pytest.param(1, "", {"POST statuses/SHA"}, True, id="not told"),
        pytest.param(1, WARNING, set(), True, id="not refused for good"),
    ],
)
def test_judge__no_status_at_all__is_found_unless_it_was_refused_and_told(
    exit_code: int, log: str, refused: set[str], *, found: bool
) -> None:
    seen = rules(world(statuses=()), job(exit_code, log=log), refused=frozenset(refused))
    assert ("no final status" in seen) is found


def test_judge__no_comment__is_found_unless_it_was_refused_and_told() -> None:
    assert rules(world(comments=())) == {"comment lost"}
    warned = job(log="::warning::ClearML CI: GitHub refused the comment")
    assert rules(world(comments=()), warned) == {"comment lost"}
    assert rules(world(comments=()), warned, refused=frozenset({"POST issues/N/comments"})) == set()


def test_judge__a_comment_about_an_earlier_commit__says_nothing_about_this_one() -> None:
    earlier = COMMENT.format("improved").replace(COMMIT[:10], "0" * 10)
    failed = world(statuses=(status("failure"),), comments=(earlier,))
    assert rules(failed, job(1)) == {"comment lost"}
    assert rules(world(statuses=(status("error"),), comments=(earlier,)), job(4)) == set()


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (job(-9, signalled="SIGKILL"), set()),
        (job(1, outputs={}), {"unclear end"}),
        (job(4, log=""), {"unclear end"}),
        (job(-15, signalled="SIGTERM"), {"unclear end"}),
        (job(0, seconds=80.0), {"too late"}),
        (job(None, hung=True), {"too late"}),
        (job(0, log=FRAME), {"traceback"}),
    ],
    ids=["killed", "no outcome", "no line", "ended by the signal itself", "late", "hung", "traceback"],
)
def test_judge__a_jobs_end__is_clear_and_in_time(end: JobEnd, expected: set[str]) -> None:
    assert rules(world(statuses=(status("failure"),), comments=(COMMENT.format("regressed"),)), end) >= expected
    assert bool(rules(world(), end) & {"unclear end", "too late", "traceback"}) is bool(expected)


def test_judge__a_traceback_in_the_console_of_a_step__has_a_rule_of_its_own() -> None:
    step = task("e" * 32, type="data_processing", console=FRAME, runtime={"clearml_ci_task": "e" * 32}, parent=RUN)
    assert rules(world(tasks=(VERDICT, BEST_TASK, step))) == {"traceback in a console"}


PLANTED = "tok_9f86d081884c7d65/9a2f"


@pytest.mark.parametrize(
    "text",
    [
        f"token {PLANTED}",
        f"token {PLANTED[:9]}\n  {PLANTED[9:]}",
        PLANTED.replace("/", "%2F"),
        base64.b64encode(PLANTED.encode()).decode(),
        f"token *** {PLANTED[12:]}",
    ],
    ids=["plain", "over two lines", "URL-encoded", "base64", "half of it"],
)
@pytest.mark.parametrize("place", ["comment", "status", "log", "parameter", "artifact"])
def test_judge__a_secret__is_found_in_every_place_and_spelling(text: str, place: str) -> None:
    seen = world(comments=(COMMENT.format("improved") + text,)) if place == "comment" else world()
    if place == "status":
        seen = world(statuses=(status("success", description=text),))
    if place == "parameter":
        seen = world(tasks=(VERDICT, {**BEST_TASK, "hyperparams": {"Args": {"x": {"value": text}}}}))
    if place == "artifact":
        seen = world(tasks=(VERDICT, {**BEST_TASK, "files": {"other": text}}))
    end = job(log=text) if place == "log" else job()
    assert rules(seen, end, secrets={"a token": PLANTED}) == {"secret"}


def test_judge__a_private_key__is_found_by_any_of_its_lines() -> None:
    line = "MIIEowIBAAKCAQEAx3vTjJkqmF0fjF5h0q9d3XyRkqzE7Q4"
    key = f"-----BEGIN RSA PRIVATE KEY-----\nAAAABBBBCCCCDDDDEEEE\n{line}\n-----END RSA PRIVATE KEY-----"
    assert rules(world(), job(log=line), secrets={"a key": key}) == {"secret"}
    assert rules(world(), job(log="-----BEGIN RSA PRIVATE KEY-----\n***"), secrets={"a key": key}) == set()


def test_judge__one_merge_moved_twice__is_found() -> None:
    entry = {"merge_commit": COMMIT, "to": BEST, "state": "moved", "undoes": ""}
    ledger = {"ledger": {"value": json.dumps(entry)}}
    runs = tuple(task(f"{number}" * 32, configuration=ledger, place="CI/.pipelines/promote") for number in (1, 2))
    assert rules(world(tasks=(VERDICT, BEST_TASK, *runs))) == {"double move"}


def test_judge__a_clean_case__ends_as_its_scenario_does() -> None:
    seen = world(statuses=(status("error"),), comments=(COMMENT.format("error"),))
    assert "clean case differs" in rules(seen, job(4, outputs={"outcome": "error"}), clean=True)
    assert rules(world(), job(outputs={"outcome": "improved"}), clean=True) == set()
