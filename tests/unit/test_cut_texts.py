"""A text is masked before it is cut: wherever the cut is, no part of a secret is left."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clearml_ci.core import comparability, json_arguments, redaction, schedule
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.errors import UsageError
from clearml_ci.decisions import launch_outcome
from clearml_ci.parameters import check, forms, texts
from clearml_ci.policy import policy_file
from clearml_ci.report import charts, markdown
from tests.unit.drawing import CHECK

HELD = "h3ld/by_this+process@here"


@pytest.fixture(autouse=True)
def holds() -> Iterator[None]:
    redaction.hold([HELD])
    yield
    redaction.forget()


def message(read: Callable[[str], Any]) -> Callable[[str], str]:
    def raised(text: str) -> str:
        with pytest.raises(UsageError) as error:
            read(text)
        return str(error.value)

    return raised


def argument(name: str) -> Callable[[str], str]:
    return message(lambda text: check.from_arguments({**CHECK.to_arguments(), name: text}))


def gate(document: Callable[[str], dict[str, Any]]) -> Callable[[str], str]:
    return message(lambda text: json_arguments.gates(json.dumps([document(text)])))


def difference(text: str) -> str:
    inputs = Inputs({"Args/a": text, text: "1"}, {}, {})
    return str(comparability.differences(comparability.NO_RULES, inputs, Inputs({}, {}, {})))


def snapshot(**changed: Any) -> launch_outcome.TaskSnapshot:
    made = launch_outcome.TaskSnapshot("failed", False, True, 0, 0, 0, ())
    return dataclasses.replace(made, **changed)


def cause(text: str) -> str:
    launch: Any = None  # not looked at, because the task has failed
    return str(launch_outcome.outcome_of(launch, snapshot(console=(f"ValueError: {text}",))))


def of_policy(text: str) -> str:
    return message(lambda _: policy_file.load(json.dumps({"threshold_percent": text, text: 1}), source="policy"))(text)


TEXTS: dict[str, tuple[int, Callable[[str], str]]] = {
    "escape": (500, markdown.escape),
    "title of a chart": (60, charts.title),
    "difference": (120, difference),
    "difference, read": (2_000, difference),
    "mask": (2_000, redaction.mask),
    "mask, read": (100_000, lambda text: redaction.mask(f"-----BEGIN PRIVATE KEY-----{text}")),
    "line of a console": (2_000, lambda text: "".join(redaction.mask_lines([text]))),
    "line of a verdict": (400, lambda text: "".join(launch_outcome.console_tail([text]))),
    "cause": (300, cause),
    "choice": (60, message(lambda text: texts.choice(text, "n", {"a": 1}))),
    "commit": (60, message(lambda text: texts.commit(text, "n"))),
    "seconds": (60, message(lambda text: texts.seconds(text, "n"))),
    "percent": (60, message(lambda text: texts.percent(text, "n"))),
    "digit": (60, message(lambda text: texts.digit(text, "n"))),
    "pull request": (60, argument("pull_request")),
    "gates": (60, argument("gates")),
    "key of a gate": (60, gate(lambda text: {text: 1})),
    "word of a gate": (60, gate(lambda text: {"title": "a", "series": "b", "goal": text})),
    "number of a gate": (60, gate(lambda text: {"title": "a", "series": "b", "minimum": text})),
    "line": (60, message(lambda text: forms.strict_line("a", form="[0-9]+").read(text, "n"))),
    "schedule": (60, message(schedule.parse)),
    "day of a schedule": (60, message(lambda text: schedule.parse(f"weekly {text} 10:00"))),
    "policy": (60, of_policy),
    "name of a policy": (60, lambda text: policy_file.name_of(f"{text}.yml")),
}


@pytest.mark.parametrize("place", TEXTS)
def test_text__secret_at_the_cut__is_masked_whole(place: str) -> None:
    limit, shown = TEXTS[place]
    for length in range(max(limit - len(HELD) - 40, 0), limit + 1, 3):
        text = shown("a" * length + HELD + "b" * 40)
        parts = [HELD[start : start + 5] for start in range(len(HELD) - 4)]
        assert not [part for part in parts if part in text.replace("\\", "").replace("\u2060", "")], (length, text)


def test_mask_lines__secret_over_the_first_line_shown__is_masked_whole() -> None:
    lines = [HELD[:12], HELD[12:], *("line" for _ in range(499))]
    assert redaction.mask_lines(lines) == ["***", *lines[2:]]


def test_mask_lines__endless_lines__are_read_in_part() -> None:
    lines = [f"{number} {HELD} {'x' * 3_000}" for number in range(500)]
    masked = redaction.mask_lines(lines)
    assert masked[-1].startswith("499 *** x") and len("".join(masked)) <= 300_000
    assert not [line for line in masked if HELD[:5] in line or HELD[-5:] in line]
