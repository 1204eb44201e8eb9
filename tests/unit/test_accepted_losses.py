"""Accepted losses: which comment accepts what, of whom, and until which value."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.core.documents import AcceptedDocument, AcceptedEntry, GateRow
from clearml_ci.core.gate import Gate
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import acceptance_notes, accepted_losses
from clearml_ci.decisions.accepted_losses import Claim
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import Acceptance, Facts
from tests.unit.drawing import CHECK, COMMIT, as_read, gate_row

LINE = f"/accept-regression {COMMIT}"
AT = "2026-11-26T10:00:00+00:00"
URL = "https://github.com/owner/name/pull/7#issuecomment-1"


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (f"{LINE} worth it", "worth it"),
        (f"\r\n\n {LINE.replace(COMMIT, COMMIT.upper())}  worth it \r\nand more", "worth it"),
        (LINE, ""),
        (f"{LINE}0 worth it", None),
        (f"/accept-regression {COMMIT[:10]} worth it", None),
        (f"/accept-regression\n{COMMIT} worth it", None),
        (f"I will not {LINE} worth it", None),
        (f"Fine.\n{LINE} worth it", None),
        (f"> {LINE} worth it", None),
        (f"    {LINE} worth it", None),
        (f"\t{LINE} worth it", None),
        (f"```\n{LINE} worth it\n```", None),
        (f"`{LINE} worth it`", None),
        (f"<!--\n{LINE} worth it\n-->", None),
        (f"{LINE} worth it\n<!-- clearml-ci: o/n#7 -->", None),
        ("/accept-regression", None),
    ],
)
def test_commit_and_rest__comment__counts_as_its_first_line_alone(text: str, rest: str | None) -> None:
    assert accepted_losses.commit_and_rest(text) == (None if rest is None else (COMMIT, rest))


def test_commit_and_rest__long_line_of_blanks__is_read_in_time() -> None:
    code = "from clearml_ci.decisions import accepted_losses as a; "
    code += f"print(a.commit_and_rest('{accepted_losses.COMMAND} {COMMIT}' + ' ' * 65_000 + chr(13) + 'x'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "None\n"


def accept(rest: str = "worth it", *, role: str = "maintain", login: str = "ada", **more: Any) -> Acceptance:
    check = replace(of_author("bob"), **{name: more.pop(name) for name in list(more) if name.startswith("accept_")})
    if more.pop("fork", False):
        check = replace(check, pull_request=replace(check.pull_request, head_repository="bob/name"))
    check = replace(check, group=more.pop("group", ()))
    claim = Claim(login, rest, URL, AT, edited=more.pop("edited", False))
    return accepted_losses.acceptance(check, claim, role=role)


def of_author(login: str) -> Check:
    pull = replace(CHECK.pull_request, author=login, head_repository=CHECK.pull_request.repository)
    gates = (*CHECK.gates, Gate("loss", "per class"), Gate("loss", "per class cat"))
    return replace(CHECK, pull_request=pull, gates=gates)


@pytest.mark.parametrize(
    ("rest", "gate", "reason"),
    [
        ("worth it", "", "worth it"),
        ("accuracy/validation worth it", "accuracy/validation", "worth it"),
        ("loss/per class worth it", "loss/per class", "worth it"),
        ("loss/per class cat  worth\tit", "loss/per class cat", "worth it"),
        ("accuracy/validation2 worth it", "", "accuracy/validation2 worth it"),
        ("https://example.com/why", "", "https://example.com/why"),
        ("the and/or of it", "", "the and/or of it"),
    ],
)
def test_acceptance__line__names_a_gate_or_all(rest: str, gate: str, reason: str) -> None:
    found = accept(rest)
    assert (found.gate, found.reason) == (gate, reason)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({}, ""),
        ({"role": "admin"}, ""),
        ({"role": "write"}, "the role 'write' is not enough, it takes 'maintain'"),
        ({"role": "none"}, "the role 'none' is not enough, it takes 'maintain'"),
        ({"role": "release captain"}, "the role 'release captain' is not enough, it takes 'maintain'"),
        ({"role": "write", "accept_role": "write"}, ""),
        ({"role": "admin", "accept_role": "owner"}, "the role 'admin' is not enough, it takes 'owner'"),
        ({"login": "Bob", "role": "admin"}, "the author of the pull request may not accept its losses"),
        ({"login": "Bob", "role": "admin", "accept_author": True}, ""),
        (
            {"login": "bob", "role": "admin", "accept_author": True, "fork": True},
            "the author of the pull request may not accept its losses",
        ),
        ({"edited": True}, "the comment was edited: write a new one"),
        (
            {"group": (7,), "role": "admin"},
            "the commit is a merge queue's: accept the loss of the pull request's head",
        ),
        ({"rest": ""}, "the comment gives no reason"),
        ({"rest": "<reason>"}, "the comment gives no reason"),
        ({"rest": "accuracy/validation"}, "the comment gives no reason"),
        (
            {"rest": "accuracy/validatoin worth it"},
            "no gate is called 'accuracy/validatoin'; did you mean 'accuracy/validation'?",
        ),
    ],
)
def test_acceptance__of_somebody__counts_or_says_why_not(given: dict[str, Any], refusal: str) -> None:
    assert accept(**given).refusal == refusal


def test_acceptance__reason_with_a_secret__is_masked_and_short() -> None:
    assert "hunter22" not in accept("as agreed, password=hunter22").reason
    found = accept("as \u202eagreed " + "x" * 500)
    assert "\u202e" not in found.reason
    assert len(found.reason) == 200


def row(value: float | None, outcome: str = "regressed", metric: str = "accuracy/validation", **more: Any) -> GateRow:
    return gate_row(outcome, metric=metric, value=value, **more)


def grant(value: float = 0.9, metric: str = "accuracy/validation", goal: str = "maximize") -> AcceptedDocument:
    (granted,) = accepted_losses.grants(accept(), [row(value, metric=metric, goal=goal)])
    return granted


def test_grants__verdict_that_was_seen__are_its_losses_alone() -> None:
    rows = [row(0.9), row(0.8, metric="loss/train"), row(0.7, "passed", "f1/all"), row(0.5, "accepted", "f1/cat")]
    metrics = [found["metric"] for found in accepted_losses.grants(accept(), rows)]
    assert metrics == ["accuracy/validation", "loss/train", "f1/cat"]
    one = accept("accuracy/validation worth it")
    assert [found["value"] for found in accepted_losses.grants(one, rows)] == [0.9]


@pytest.mark.parametrize(
    ("goal", "value", "outcome"),
    [
        ("maximize", 0.9, "accepted"),
        ("maximize", 0.95, "accepted"),
        ("maximize", 0.9 - 1e-12, "accepted"),
        ("maximize", 0.8999, "regressed"),
        ("minimize", 0.8999, "accepted"),
        ("minimize", 0.9001, "regressed"),
    ],
)
def test_apply__value__holds_until_it_is_worse_than_the_accepted_one(goal: str, value: float, outcome: str) -> None:
    rows, accepted, warnings = accepted_losses.apply([row(value, goal=goal)], [grant(goal=goal)])
    assert [found["outcome"] for found in rows] == [outcome]
    assert len(accepted) == (outcome == "accepted")
    assert warnings == (
        [] if accepted else [f"accuracy/validation is {value:g}, worse than the 0.9 that ada accepted."]
    )


def test_apply__mean_of_several_runs__is_the_value_that_counts() -> None:
    noise = {"value": 0.85}
    rows, _, _ = accepted_losses.apply([row(0.95, noise=noise)], [grant(0.9)])
    assert rows[0]["outcome"] == "regressed"


@pytest.mark.parametrize("outcome", ["no_evidence", "inconclusive", "error", "passed"])
def test_apply__what_is_no_loss__stays(outcome: str) -> None:
    rows, accepted, warnings = accepted_losses.apply([row(0.9, outcome)], [grant()])
    assert ([found["outcome"] for found in rows], accepted, warnings) == ([outcome], [], [])


def test_apply__second_comment_after_a_worse_value__accepts_that() -> None:
    rows, accepted, _ = accepted_losses.apply([row(0.8)], [grant(0.9), {**grant(0.8), "by": "eve"}])
    assert (rows[0]["outcome"], [found["by"] for found in accepted]) == ("accepted", ["eve"])


def test_decide__some_gates_accepted__is_the_worst_of_the_rest() -> None:
    both = [row(0.9), row(0.8, metric="loss/train")]
    rows, _, _ = accepted_losses.apply(both, [grant()])
    outcome, reason = accepted_losses.decide(rows)
    assert (outcome, reason) == (Outcome.REGRESSED, both[1]["reason"])
    rows, _, _ = accepted_losses.apply([*both[:1], row(0.99, "improved", "f1/all")], [grant()])
    outcome, reason = accepted_losses.decide(rows)
    assert outcome == Outcome.ACCEPTED
    assert reason.endswith("; accepted by ada: worth it")


def test_facts__that_a_job_read__come_back_from_the_arguments() -> None:
    facts = Facts(accepted=(replace(accept(), seen="https://clearml/run", refusal="why"),))
    check = replace(CHECK, facts=facts, accept_role="write", accept_author=True)
    assert check_parameters.from_arguments(check.to_arguments()) == check


@pytest.mark.parametrize(("age", "notes"), [(1, 1), (89, 1), (91, 0)])
def test_notes__of_an_audit__are_those_of_the_last_90_days_each_once(age: float, notes: int) -> None:
    entry: AcceptedEntry = {
        "run": "r",
        "url": "https://clearml/run",
        "pull_request": 7,
        "commit": COMMIT,
        "accepted": [grant()],
    }
    now = 1_795_687_200.0 + age * 86_400  # 2026-11-26T10:00:00
    found = acceptance_notes.notes([entry, {**entry, "run": "s"}], now=now)
    assert [(note.severity, note.subject.name) for note in found] == [
        ("note", f"pull request #7 at {COMMIT[:10]}")
    ] * notes
    if notes:
        assert found[0].message == "accuracy/validation of 0.9 was accepted by ada on 2026-11-26: worth it"


def test_grants__slice_or_pattern__accepts_those_alone() -> None:
    rows = [
        row(value, metric=f"per class/digit {digit}", slice_of="per class/*") for digit, value in enumerate((0.9, 0.8))
    ]
    of_check = replace(of_author("bob"), gates=(Gate("per class", "*"), Gate("per-class", "*")))

    def accepted(rest: str) -> list[tuple[str, str]]:
        found = accepted_losses.acceptance(of_check, Claim("ada", rest, URL, AT, edited=False), role="admin")
        assert not found.refusal
        return [(each["metric"], each["reason"]) for each in accepted_losses.grants(found, rows)]

    both = [("per class/digit 0", "worth it"), ("per class/digit 1", "worth it")]
    assert accepted("worth it") == accepted("per class/* worth it") == both
    assert accepted("per class/digit 1 worth it") == both[1:]
    assert accepted("per class/digit 1") == []
    assert accepted("per-class/digit_1 worth it") == []


def test_hidden__more_slices_that_fail_than_are_shown__lets_nothing_be_accepted() -> None:
    shown = [row(0.9, metric=f"f1/{number}", slice_of="f1/*") for number in range(20)]
    slices: dict[str, Any] = {"pattern": "f1/*", "required": True, "total": 25, "held": 5}

    def hidden(**changes: Any) -> str:
        return accepted_losses.hidden(shown, [as_read({**slices, **changes})])

    assert hidden() == ""
    assert hidden(total=28) == "3 slices of f1/* that fail are not shown: such a loss cannot be accepted."
    assert hidden(total=28, required=False) == ""
