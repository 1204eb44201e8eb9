import json
from typing import Any

import pytest

from clearml_ci.decisions import run_labels

CHECK = {"pull_request": "12", "commit": "3dff3f4" + "0" * 33, "merge_commit": ""}
MERGE = {**CHECK, "action": "promote", "merge_commit": "abcdef0" + "1" * 33}


def name(pipeline: str, arguments: dict[str, str], *, title: str = "", rerun: bool = False) -> str:
    given = {**arguments, "_context": json.dumps({"title": title})}
    return run_labels.of(pipeline, given, date="2026-11-27", rerun=rerun).name


@pytest.mark.parametrize(
    ("pipeline", "arguments", "more", "expected"),
    [
        ("pr_check", CHECK, {"title": "Fix it"}, "PR 12 · Fix it · 3dff3f4"),
        ("pr_check", CHECK, {"title": "Fix it", "rerun": True}, "PR 12 · Fix it · 3dff3f4 · rerun"),
        ("pr_check", CHECK, {"title": "w" * 30 + " " + "v" * 30}, f"PR 12 · {'w' * 30}… · 3dff3f4"),
        ("pr_check", CHECK, {"title": "w" * 60}, f"PR 12 · {'w' * 39}… · 3dff3f4"),
        ("pr_check", CHECK, {}, "PR 12 · 3dff3f4"),
        ("pr_check", {**CHECK, "_name": "digits"}, {}, "PR 12 (digits) · 3dff3f4"),
        ("pr_check", {**CHECK, "commit": ""}, {}, "PR 12"),
        ("pr_check", {}, {}, "Check"),
        ("pr_check", CHECK, {"title": "a\u202eb\x1b[1m\nc"}, "PR 12 · a\ufffdb\ufffd[1m c · 3dff3f4"),
        ("pr_check", CHECK, {"title": f"use {'ghp_' + 'a' * 36}"}, "PR 12 · use *** · 3dff3f4"),
        ("promote", MERGE, {"title": "Fix it"}, "PR 12 merged · Fix it · abcdef0"),
        ("promote", {**MERGE, "action": "rollback"}, {}, "PR 12 rolled back · abcdef0"),
        ("audit", {"projects": "Digits, Vision\nx/*, y"}, {}, "Audit · Digits, Vision, and 2 more · 2026-11-27"),
        ("audit", {"projects": ""}, {"rerun": True}, "Audit · 2026-11-27 · rerun"),
        ("audit", {**CHECK, "_name": "night"}, {}, "Audit (night) · 2026-11-27"),
    ],
    ids=[
        *("title", "rerun", "cut-at-a-word", "long-word", "no-title", "named", "no-commit", "nothing"),
        *("control-characters", "secret", "merge", "rollback", "audit", "audit-of-all", "named-audit"),
    ],
)
def test_name__of_a_run__is_read_at_a_glance(
    pipeline: str, arguments: dict[str, str], more: dict[str, Any], expected: str
) -> None:
    assert name(pipeline, arguments, **more) == expected


@pytest.mark.parametrize("context", ["", "{", "[]", '{"title": 7}', '{"title": null}'])
def test_labels__context_that_no_job_wrote__are_made_all_the_same(context: str) -> None:
    found = run_labels.of("pr_check", {**CHECK, "pull_request": "x\n", "_context": context}, date="", rerun=True)
    assert found.tags == ("rerun",) and "3dff3f4" in found.name


def test_labels__of_a_pull_request__have_its_tag() -> None:
    assert run_labels.of("promote", MERGE, date="", rerun=False).tags == ("PR 12",)
    assert run_labels.of("audit", CHECK, date="", rerun=False).tags == ()


def test_stale__tags_of_a_source__are_those_of_the_vocabulary_alone() -> None:
    copied = ["PR 12", "PR 7", "template", "rerun", "regressed", "no evidence", "mine", "PR seven", "passed by Ada"]
    assert run_labels.stale(copied, ["PR 12", "rerun"]) == ["PR 7", "no evidence", "regressed", "template"]
