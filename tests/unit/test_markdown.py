import pytest

from clearml_ci import markdown, verdict
from clearml_ci.gate import Summary
from tests.unit.drawing import CHECK, gate_document, steps

RUN = {"id": "r" * 32, "url": "https://clearml/pipelines/p/experiments/r"}


def document(outcome: str = "passed", **changes: object) -> verdict.Document:
    return {**verdict.compose(CHECK, run=RUN, steps=steps(outcome)), **changes}


@pytest.mark.parametrize("outcome", list(verdict.OUTCOMES))
def test_comment__every_outcome__starts_with_marker_and_names_it(outcome: str) -> None:
    lines = markdown.comment(document(outcome=outcome, gates=[gate_document(outcome)]), []).splitlines()
    assert lines[0] == "<!-- clearml-ci: owner/name#7 -->"
    assert outcome.replace("_", " ") in lines[2]
    assert f"[pipeline run]({RUN['url']})" in lines[-1]


def test_comment__gate__shows_value_best_difference_and_limit() -> None:
    body = markdown.comment(document(), [])
    row = next(line for line in body.splitlines() if "accuracy" in line and line.startswith("|"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["✅", "accuracy/validation ↑", "0.95", "0.96", "-0.01", "≥ 0.9312 (3 %)"]


def test_comment__scalars__has_the_predecessors_table_folded() -> None:
    body = markdown.comment(document(), [Summary("accuracy", "validation", 0.9, 0.1, 0.95)])
    assert "All scalars of this commit's task (1)" in body
    header, rule, row = [line for line in body.splitlines() if line.startswith("|")][-3:]
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["title", "series", "last", "min", "max"]
    assert rule.count("-:") == 3
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["accuracy", "validation", "0.9", "0.1", "0.95"]


def test_comment__2000_series__stays_under_the_limit_and_keeps_the_verdict() -> None:
    many = [Summary(f"title {n} " + "x" * 50, "|series|", n, -n, n) for n in range(2000)]
    body = markdown.comment(document("regressed"), many)
    assert 50_000 < len(body) <= 65_536
    assert "regressed" in body
    assert "more are in ClearML" in body
    assert body.rstrip().endswith(f"[pipeline run]({RUN['url']})")


def test_comment__dirty_task__says_so_with_its_link() -> None:
    near = {"name": "train digits", "url": "https://clearml/task", "reason": "has uncommitted changes"}
    body = markdown.comment(document(outcome="no_evidence", gates=[], rejected=[near]), [])
    assert "- [train digits](https://clearml/task): has uncommitted changes" in body


def test_comment__reason_that_begins_with_the_metric__keeps_its_spelling() -> None:
    assert "\naccuracy/validation holds. Commit" in markdown.comment(
        document(exit_reason="accuracy/validation holds"), []
    )
    assert "\nNo task ran it. Commit" in markdown.comment(document(exit_reason="no task ran it"), [])


def test_comment__endless_reason__is_cut_and_stays_under_the_limit() -> None:
    body = markdown.comment(document(exit_reason="y" * 100_000, warnings=["z" * 100_000]), [])
    assert len(body) <= 65_536
    assert "passed" in body


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<script>alert(1)</script>", r"&lt;script&gt;alert\(1\)&lt;/script&gt;"),
        ("**bold** [x](y)", r"\*\*bold\*\* \[x\]\(y\)"),
        ("line\nbreak", "line break"),
        ("@team", "@\u2060team"),
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


def remote(outcome: str, *, phase: str, log_tail: list[str]) -> dict[str, object]:
    task = {"id": "9" * 32, "name": "probe [x](http://evil)", "url": "https://clearml/9"}
    return {"outcome": outcome, "phase": phase, "reason": "it <b>failed</b>", "log_tail": log_tail, "task": task}


def test_comment__failed_remote_run__names_phase_and_shows_the_console() -> None:
    ran = remote("no_evidence", phase="import", log_tail=["Traceback", "ModuleNotFoundError: No module named 'einops'"])
    body = markdown.comment(document("no_evidence", remote_run=ran), [])
    assert "phase **import**" in body
    assert "```text\nTraceback\nModuleNotFoundError: No module named 'einops'\n```" in body
    assert "it &lt;b&gt;failed&lt;/b&gt;" in body
    assert "[x](http://evil)" not in body


def test_comment__console_with_fences__cannot_leave_its_block() -> None:
    ran = remote("no_evidence", phase="script", log_tail=["````", "# not a heading", "</details>"])
    body = markdown.comment(document("no_evidence", remote_run=ran), [])
    assert "`````text\n````\n# not a heading\n</details>\n`````" in body


def test_comment__remote_run_that_passed__is_one_line() -> None:
    body = markdown.comment(document(remote_run=remote("passed", phase="", log_tail=[])), [])
    assert "✅ On an agent: [probe" in body
    assert "console" not in body
