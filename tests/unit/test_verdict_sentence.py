from typing import Any

import pytest

from clearml_ci.core.formatting import shorten_at_word
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import verdict_sentence

STAMP = "rerun by Ada with threshold_percent 3 → 50"


def document(reason: str, *, stamp: str = STAMP) -> Any:
    return {"outcome": Outcome.NO_EVIDENCE, "exit_reason": reason, "rerun": {"said": stamp} if stamp else None}


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("as it is", 8, "as it is"),
        ("cut at a word", 10, "cut at a…"),
        ("cut at a word", 9, "cut at a…"),
        ("cut at, a word", 8, "cut at…"),
        ("averylongword and more", 8, "averylo…"),
        ("of averylongword", 12, "of averylon…"),
    ],
)
def test_shorten_at_word__text__ends_after_a_word(text: str, limit: int, expected: str) -> None:
    assert shorten_at_word(text, limit) == expected


def test_of__rerun__ends_with_its_stamp() -> None:
    assert verdict_sentence.of(document("it never ran")) == f"no evidence: it never ran ({STAMP})"
    assert verdict_sentence.of(document("it never ran", stamp="")) == "no evidence: it never ran"


@pytest.mark.parametrize("reason", ["it never ran", "word " * 40, "w" * 300], ids=["short", "long", "no-word"])
@pytest.mark.parametrize("stamp", ["", STAMP, "edit " * 40, "e" * 300], ids=["none", "short", "long", "no-word"])
def test_fitted__long_reason_and_long_stamp__keep_a_part_of_both(reason: str, stamp: str) -> None:
    text = verdict_sentence.fitted(document(reason, stamp=stamp), 140)
    assert len(text) <= 140 and text.startswith(f"no evidence: {reason[:12].strip()}")
    assert (f"({stamp[:5].strip()}" in text and text.endswith(")")) == bool(stamp)
