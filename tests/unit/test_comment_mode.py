"""The modes in which a check comments."""

import pytest

from clearml_ci.core import comment_mode

FAILURES = {"regressed", "no_evidence", "error"}


def body(outcome: str | None) -> str | None:
    return None if outcome is None else f"<!-- marker -->\n{comment_mode.outcome_line(outcome)}\n\n### {outcome}"


@pytest.mark.parametrize(
    ("mode", "earlier", "outcome", "writes"),
    [
        ("always", None, "passed", True),
        ("always", "passed", "passed", True),
        ("on-change", None, "passed", False),
        ("on-change", None, "improved", True),
        ("on-change", None, "no_baseline", True),
        ("on-change", None, "regressed", True),
        ("on-change", "passed", "passed", False),
        ("on-change", "regressed", "regressed", False),
        ("on-change", "passed", "improved", True),
        ("on-change", "regressed", "passed", True),
        ("on-change", "regressed", "error", True),
        ("on-failure", None, "passed", False),
        ("on-failure", None, "improved", False),
        ("on-failure", None, "regressed", True),
        ("on-failure", "regressed", "regressed", True),
        ("on-failure", "regressed", "passed", True),
        ("on-failure", "passed", "improved", True),
        ("off", None, "regressed", False),
        ("off", "passed", "regressed", False),
    ],
)
def test_writes__mode_and_what_there_is__decides(mode: str, earlier: str | None, outcome: str, writes: bool) -> None:
    new = body(outcome) or ""
    assert comment_mode.writes(mode, body=new, failure=outcome in FAILURES, earlier=body(earlier)) is writes


@pytest.mark.parametrize(
    ("earlier", "new"),
    [("<!-- marker -->\nof an older version", body("passed")), (body("passed"), "<!-- marker -->\nno outcome")],
    ids=["earlier", "new"],
)
def test_writes__on_change_and_there_is_no_outcome__counts_as_a_change(earlier: str, new: str) -> None:
    assert comment_mode.writes("on-change", body=new, failure=False, earlier=earlier)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("<!-- marker -->\n<!-- clearml-ci outcome: no_evidence -->\ntext", "no_evidence"),
        ("<!-- marker -->\r\n\r\n<!-- clearml-ci outcome: passed -->\r\ntext", "passed"),
        ("<!-- marker -->\ntext\n<!-- clearml-ci outcome: passed -->", None),
        ("<!-- marker -->\n<!-- clearml-ci outcome: passed --> and more", None),
        ("", None),
    ],
    ids=["below the marker", "edited in a browser", "below the text", "not alone", "empty"],
)
def test_outcome_of__body__reads_the_head_alone(text: str, outcome: str | None) -> None:
    assert comment_mode.outcome_of(text) == outcome
