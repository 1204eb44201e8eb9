import pytest

from clearml_ci.report import markdown


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<script>alert(1)</script>", r"&lt;script&gt;alert\(1\)&lt;/script&gt;"),
        ("**bold** [x](y)", r"\*\*bold\*\* \[x\]\(y\)"),
        ("line\nbreak", "line break"),
        ("@team", "@\u2060team"),
        ("#1 fixes #23", "\\#\u20601 fixes \\#\u206023"),
        ("o/n#1, GH-1, gh-22", "o/n\\#\u20601, GH-\u20601, gh-\u206022"),
        (f"at {'a' * 40}, o/n@{'B' * 40}", f"at `{'a' * 40}`, o/n@\u2060`{'B' * 40}`"),
        (f"comment: /run-remote {'a' * 40}", f"comment\\: `/run-remote {'a' * 40}`"),
        (f"`{'a' * 40}`", f"\\``{'a' * 40}`\\`"),
        ("a" * 64, "a" * 64),
        ("epoch #x of GH-runner", r"epoch \#x of GH-runner"),
        ("acc\u202eycaruc\u200b\x1b[0m", "acc\ufffdycaruc\ufffd\ufffd\\[0m"),
        ("`code`", r"\`code\`"),
        ("-->", r"\--&gt;"),
        ("1. first", r"1\. first"),
        ("https://evil.example www.evil.example", r"https\://evil.example www\.evil.example"),
        ("holds within 3.5 % of the best", "holds within 3.5 % of the best"),
    ],
)
def test_escape__active_text__is_only_text(text: str, escaped: str) -> None:
    assert markdown.escape(text) == escaped


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.1234567, "0.123457"), (1e9, "1e+09"), (float("nan"), "nan")]
)
def test_number__value__has_six_significant_digits(value: float | None, text: str) -> None:
    assert markdown.number(value) == text


def test_fit_rows__rows__as_many_of_the_first_as_there_is_room_for() -> None:
    rows = [str(number) for number in range(100)]
    assert markdown.fit_rows(rows, 1_000, "\n".join) == "\n".join(rows)
    kept = markdown.fit_rows(rows, 100, "\n".join)
    assert 80 < len(kept) <= 100
    assert kept.splitlines() == rows[: len(kept.splitlines())]
    assert markdown.fit_rows(["too long"], 3, "\n".join) == ""
    assert markdown.fit_rows([], 3, "\n".join) == ""


def test_warnings_block__warnings__are_at_most_five_boxes_of_escaped_text() -> None:
    block = markdown.warnings_block(["<b>@team</b>\n> none", *["x"] * 10])
    assert block.startswith("\n> [!WARNING]\n> &lt;b&gt;@\u2060team&lt;/b&gt; &gt; none\n\n> [!WARNING]\n> x\n")
    assert block.count("[!WARNING]") == 5
    assert markdown.warnings_block([]) == ""
