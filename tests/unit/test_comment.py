from typing import Any

import pytest

from clearml_ci.core.gate import Summary
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import verdict
from clearml_ci.report import comment
from clearml_ci.report.charts import Curves
from tests.unit.drawing import CHECK, RUN, as_read, gate_row, steps


def document(outcome: str = "passed", **changes: object) -> Any:
    return as_read({**verdict.for_check(CHECK, run=RUN, steps=steps(outcome)), **changes})


@pytest.mark.parametrize("outcome", list(Outcome))
def test_comment__every_outcome__starts_with_marker_and_names_it(outcome: str) -> None:
    lines = comment.comment(document(outcome=outcome, gates=[gate_row(outcome)]), []).splitlines()
    assert lines[0] == "<!-- clearml-ci: owner/name#7 -->"
    assert lines[1] == f"<!-- clearml-ci outcome: {outcome} -->"
    assert outcome.replace("_", " ") in lines[3]
    assert f"[pipeline run]({RUN['url']})" in lines[-1]


def test_comment__of_a_name__has_a_marker_of_its_own_and_names_it() -> None:
    lines = comment.comment(document(name="digits, large"), []).splitlines()
    assert lines[0] == "<!-- clearml-ci: owner/name#7 digits%2C%20large -->"
    assert lines[3] == "### ✅ ClearML CI: digits, large · passed · the gate holds"
    assert comment.headline(document(name="a*b*")) == "✅ ClearML CI: a*b* · passed"


@pytest.mark.parametrize("name", ["x -->", "x", "@team", "<b>", "**x**", "x\u200by"])
def test_comment__untrusted_name__is_text_and_no_other_marker(name: str) -> None:
    marker, _, rest = comment.comment(document(name=name), []).partition("\n")
    others = [comment.marker("owner/name", 7, other) for other in ("", "y", "x --") if other != name]
    assert not any(marker.startswith(other) for other in others)
    assert (marker.count("-->"), marker.isascii()) == (1, True)
    assert not any(odd in rest for odd in ("@team", "<b>", "**x**"))


def test_comment__gate__shows_value_best_difference_and_limit() -> None:
    body = comment.comment(document(), [])
    line = next(line for line in body.splitlines() if "accuracy" in line and line.startswith("|"))
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        "✅",
        "accuracy/validation ↑",
        "0.95",
        "0.96",
        "-0.01",
        "≥ 0.9312 (3 %)",
    ]


def test_comment__scalars__has_the_predecessors_table_folded() -> None:
    body = comment.comment(document(), [Summary("accuracy", "validation", 0.9, 0.1, 0.95)])
    assert "All scalars of this commit's task (1)" in body
    header, rule, row = [line for line in body.splitlines() if line.startswith("|")][-3:]
    assert [cell.strip() for cell in header.strip("|").split("|")] == ["title", "series", "last", "min", "max"]
    assert rule.count("-:") == 3
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["accuracy", "validation", "0.9", "0.1", "0.95"]


def test_comment__2000_series__stays_under_the_limit_and_keeps_the_verdict() -> None:
    many = [Summary(f"title {n} " + "x" * 50, "|series|", n, -n, n) for n in range(2000)]
    body = comment.comment(document("regressed"), many)
    assert 50_000 < len(body) <= 65_536
    assert "regressed" in body
    assert "more are in ClearML" in body
    assert body.rstrip().endswith(f"[pipeline run]({RUN['url']})")


def test_comment__dirty_task__is_named_with_its_link() -> None:
    near = {"name": "train digits", "url": "https://clearml/task", "reason": "has uncommitted changes"}
    body = comment.comment(document(outcome="no_evidence", gates=[], rejected=[near]), [])
    assert "- [train digits](https://clearml/task): has uncommitted changes" in body


def test_comment__reason_that_begins_with_the_metric__keeps_its_spelling() -> None:
    assert "\naccuracy/validation holds. Commit" in comment.comment(
        document(exit_reason="accuracy/validation holds"), []
    )
    assert "\nNo task ran it. Commit" in comment.comment(document(exit_reason="no task ran it"), [])


def test_comment__endless_reason__is_cut_and_stays_under_the_limit() -> None:
    body = comment.comment(document(exit_reason="y" * 100_000, warnings=["z" * 100_000]), [])
    assert len(body) <= 65_536
    assert "passed" in body


def row_of(body: str, metric: str) -> list[str]:
    line = next(line for line in body.splitlines() if line.startswith("|") and metric in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["✅", "loss/train ↑", "≥ 0.9312 (3 %)"]),
        ({"goal": "minimize"}, ["✅", "loss/train ↓", "≤ 0.9312 (3 %)"]),
        ({"which": "last"}, ["✅", "loss/train ↑ (last)", "≥ 0.9312 (3 %)"]),
        ({"required": False}, ["✅", "loss/train ↑ (advisory)", "≥ 0.9312 (3 %)"]),
        ({"relative": False, "tolerance": 0.02}, ["✅", "loss/train ↑", "≥ 0.9312 (0.02)"]),
        ({"limit": 0.0, "minimum": 0.9}, ["✅", "loss/train ↑", "≥ 0 (3 %), min 0.9"]),
        ({"limit": None, "maximum": 20.0}, ["✅", "loss/train ↑", "max 20"]),
        ({"limit": None}, ["✅", "loss/train ↑", "-"]),
        ({"required": False, "outcome": "regressed"}, ["❌", "loss/train ↑ (advisory)", "≥ 0.9312 (3 %)"]),
    ],
)
def test_comment__gate__shows_goal_value_tolerance_and_bounds(changes: dict[str, object], expected: list[str]) -> None:
    changed = gate_row(**{"metric": "loss/train", **changes})  # type: ignore[arg-type]  # fields of the document
    row = row_of(comment.comment(document(gates=[gate_row(), changed]), []), "loss/train")
    assert [row[0], row[1], row[-1]] == expected


def remote(outcome: str, *, phase: str, log_tail: list[str]) -> dict[str, object]:
    task = {"id": "9" * 32, "name": "probe [x](http://evil)", "url": "https://clearml/9"}
    return {"outcome": outcome, "phase": phase, "reason": "it <b>failed</b>", "log_tail": log_tail, "task": task}


def test_comment__failed_remote_run__names_phase_and_shows_the_console() -> None:
    ran = remote("no_evidence", phase="import", log_tail=["Traceback", "ModuleNotFoundError: No module named 'einops'"])
    body = comment.comment(document("no_evidence", remote_run=ran), [])
    assert "phase **import**" in body
    assert "```text\nTraceback\nModuleNotFoundError: No module named 'einops'\n```" in body
    assert "it &lt;b&gt;failed&lt;/b&gt;" in body
    assert "[x](http://evil)" not in body


def test_comment__console_with_fences__cannot_leave_its_block() -> None:
    ran = remote("no_evidence", phase="script", log_tail=["````", "# not a heading", "</details>"])
    body = comment.comment(document("no_evidence", remote_run=ran), [])
    assert "`````text\n````\n# not a heading\n</details>\n`````" in body


def test_comment__remote_run_that_passed__is_one_line() -> None:
    body = comment.comment(document(remote_run=remote("passed", phase="", log_tail=[])), [])
    assert "✅ Remote run: [probe" in body
    assert "console" not in body


def test_comment__table_of_gates__comes_before_warnings_and_everything_folded() -> None:
    body = comment.comment(document(warnings=["mind it"]), [Summary("accuracy", "validation", 0.9, 0.1, 0.95)])
    assert body.index("| accuracy/validation ↑") < body.index("[!WARNING]") < body.index("<details>")


def test_comment__base_branch__is_a_column_and_a_link_of_its_own() -> None:
    main = {"id": "m", "name": "train main", "url": "https://clearml/main"}
    body = comment.comment(document(main_baseline=main, gates=[gate_row(main=0.91)]), [])
    assert row_of(body, "metric") == ["", "metric", "this commit", "baseline", "base branch", "difference", "allowed"]
    assert row_of(body, "accuracy")[4] == "0.91"
    assert "base branch: [train main](https://clearml/main)" in body.splitlines()[-1]
    assert "base branch" not in row_of(comment.comment(document(), []), "metric")


def test_comment__inconclusive_that_the_policy_lets_pass__states_it() -> None:
    kept = document("inconclusive")
    assert "lets that pass" not in comment.comment(kept, [])
    let_pass: Any = {**kept, "state": "success", "exit_code": 0}
    assert "Why. The policy lets that pass. Commit" in comment.comment(let_pass, [])


def difference(name: str, **changes: object) -> dict[str, object]:
    return {"kind": "hyperparameter", "name": name, "candidate": "1", "baseline": "2", "matters": False, **changes}


def test_comment__differences__are_folded_and_what_must_match_is_marked() -> None:
    found = [
        difference("Args/dataset", candidate="b|c", baseline=None, matters=True),
        difference("torch", kind="package", candidate="", baseline="2.0"),
    ]
    body = comment.comment(document(differences=found, differences_total=7), [])
    assert "<summary>Other differences from the baseline (7)</summary>" in body
    assert row_of(body, "Args/dataset") == ["≠", "Args/dataset", "b\\", "c", "-"]  # split at the escaped bar
    assert row_of(body, "torch") == ["", "package torch", "empty", r"2\.0"]
    assert "≠ must match.\n\n5 more are in ClearML." in body


CURVES = Curves(((0.0, 0.5), (1.0, 0.9)), ((0.0, 0.4), (1.0, 0.8)))


def test_comment__curves__are_folded_charts_with_a_legend_in_words() -> None:
    body = comment.comment(document(), [], {0: CURVES})
    assert body.count("```mermaid\n%%{init: ") == 1
    assert (
        "**accuracy/validation** ↑ · blue: this commit, ends at 0.9; orange: the baseline, ends at 0.8\n\n```" in body
    )
    assert "```mermaid" not in comment.comment(document(), [], {0: Curves(((0.0, 1.0),))})


HOSTILE = '"]|`*_<!--@team\n```\n</details># [x](javascript:y) ' * 50


def huge() -> tuple[Any, list[Summary], dict[int, Curves]]:
    """Everything that can be long, and as nasty as it gets."""
    url = "https://clearml/" + "p" * 100
    near = {"id": "1", "name": HOSTILE, "url": url, "reason": HOSTILE}
    gates = [gate_row("passed", f"{HOSTILE[n:]} {n}", limit=None) for n in range(2_000)]
    gates.append(gate_row("regressed", "the/one"))
    points = tuple((float(n), n / 7) for n in range(2_000))
    found = [difference(HOSTILE, candidate=HOSTILE, baseline=HOSTILE, matters=True) for _ in range(2_000)]
    return (
        document(
            "regressed",
            exit_reason=HOSTILE,
            warnings=[HOSTILE] * 100,
            gates=gates,
            rejected=[near] * 100,
            baseline=near,
            main_baseline=near,
            differences=found,
            differences_total=2_000,
        ),
        [Summary(HOSTILE, HOSTILE, 1.0, 1.0, 1.0)] * 2_000,
        dict.fromkeys(range(4), Curves(points, points)),
    )


@pytest.mark.parametrize("outcome", ["regressed", "no_evidence"])
def test_comment__everything_too_long__stays_under_the_limit_and_keeps_verdict_and_links(outcome: str) -> None:
    long, scalars, curves = huge()
    body = comment.comment(as_read({**long, "outcome": outcome}), scalars, curves)
    assert 40_000 < len(body) <= comment.LIMIT
    assert body.splitlines()[3].endswith(comment.HEADLINES[Outcome(outcome)])
    assert row_of(body, "the/one")[0] == "❌"
    assert "more gates are in the verdict" in body
    assert body.rstrip().endswith(f"[pipeline run]({RUN['url']})")


def test_comment__too_long__gives_way_from_the_least_important_part() -> None:
    long, scalars, _ = huge()
    short: Any = {**long, "gates": long["gates"][-1:], "warnings": [], "rejected": []}
    body = comment.comment(short, scalars, {0: CURVES})
    assert ("the/one" in body, "```mermaid" in body, "Other differences" in body) == (True, True, True)
    assert "All scalars" not in body
    assert len(body) <= comment.LIMIT
    full = comment.comment(as_read({**short, "differences": []}), scalars, {0: CURVES})
    assert "All scalars" in full
    assert len(full) <= comment.LIMIT


def test_comment__hostile_text__opens_no_block_of_its_own() -> None:
    long, scalars, curves = huge()
    body = comment.comment(as_read({**long, "gates": long["gates"][:2]}), scalars[:5], dict(list(curves.items())[:2]))
    assert body.count("<details>") == body.count("</details>")
    assert body.count("```") == 2 * (body.count("```mermaid") + body.count("\n/accept-regression "))
    assert [line for line in body.splitlines() if line.startswith("#")] == [body.splitlines()[3]]
    assert "@team" not in body
    assert "<!--" not in "".join(body.splitlines()[2:])


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({"outcome": "passed"}, "the gate holds"),
        ({"outcome": "passed", "gates": [gate_row("passed"), gate_row("improved")]}, "every gate holds"),
        (
            {"outcome": "passed", "gates": [gate_row("passed"), gate_row("regressed", required=False)]},
            "every required gate holds",
        ),
        ({"outcome": "passed", "gates": []}, "a clean run exists"),
        (
            {"outcome": "passed", "gates": [], "remote_run": remote("passed", phase="", log_tail=[])},
            "it runs on an agent",
        ),
        (
            {"outcome": "no_evidence", "remote_run": remote("no_evidence", phase="script", log_tail=[])},
            "it does not run on an agent",
        ),
        (
            {"outcome": "no_evidence", "remote_run": remote("no_evidence", phase="approval", log_tail=[])},
            "not approved to run on an agent",
        ),
        ({"outcome": "no_evidence"}, "no clean, finished run of this commit"),
    ],
    ids=["gate", "gates", "advisory", "evidence-alone", "probe-alone", "does-not-run", "unapproved", "no-run"],
)
def test_comment__headline__describes_the_outcome(changes: dict[str, object], headline: str) -> None:
    body = comment.comment(as_read({**document(), **changes}), [])
    assert body.splitlines()[3].endswith(f"· {headline}")


RUN_LINK = f"[pipeline run]({RUN['url']})"
MOVED = {"action": "promote", "moved": True, "merge_commit": "d" * 40}


def promoted(reason: str, outcome: str = "passed", **changes: object) -> Any:
    return document(outcome, exit_reason=reason, promotion={**MOVED, **changes})


def test_with_line__promotion__is_added_below_the_check() -> None:
    body = comment.comment(document(), [])
    body = comment.with_line(body, promoted("the tag moved"))
    assert body.startswith(body.rstrip())
    assert body.splitlines()[-2:] == [
        "<!-- clearml-ci promote -->",
        f"✅ **Merged as `dddddddddd`:** the tag moved. {RUN_LINK}",
    ]


def test_with_line__repeated_without_a_move__keeps_the_line_of_the_move() -> None:
    body = comment.with_line("body", promoted("the tag moved"))
    assert comment.with_line(body, promoted("it carries the tag already", moved=False)) == body


def test_with_line__later_line__replaces_the_earlier_one_and_a_rollback_stands_beside() -> None:
    body = comment.with_line("body", promoted("no server", "error", moved=False))
    body = comment.with_line(body, promoted("the tag moved"))
    body = comment.with_line(body, promoted("it is back", action="rollback"))
    assert "no server" not in body
    assert body.count("the tag moved") == 1
    assert body.splitlines()[-1] == f"✅ **Rolled back:** it is back. {RUN_LINK}"


def test_with_line__longest_comment__still_takes_both_lines() -> None:
    many = [Summary(f"title {n} " + "x" * 50, "|series|", n, -n, n) for n in range(2000)]
    body = comment.comment(document("regressed"), many)
    body = comment.with_line(body, promoted("x" * 600))
    body = comment.with_line(body, promoted("y" * 600, action="rollback"))
    assert len(body) <= comment.LIMIT
    assert "x" * 400 in body
    assert "y" * 400 in body


def test_comment__rerun__is_stamped_and_escaped() -> None:
    body = comment.comment(document(rerun={"said": "rerun by <Ada> with goal a → b"}), [])
    assert "\n↻ Rerun by &lt;Ada&gt; with goal a → b.\n" in body
