"""Scripts that call Task.init themselves."""

import pytest

from clearml_ci.core import entry_script


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("from clearml import Task\nTask.init()", True),
        ("import clearml\ndef main():\n    clearml.Task.init(project_name='a')", True),
        ("from clearml import Task\ntask = Task.init(\n  project_name='a')", True),
        ("print('Task.init()')", False),
        ("# Task.init()\nprint(1)", False),
        ("from clearml import Task\nTask.create()", False),
        ("model.init()", False),
        ("", False),
        ("print 'old python'\nTask.init()", True),
        ("print 'old python'", False),
        ("-" * 100_000 + "1\nTask.init()", True),
        ("a" + ".b" * 100_000 + "\nTask.init()", True),
    ],
    ids=[
        "name",
        "attribute",
        "several-lines",
        "text",
        "comment",
        "other-call",
        "other-owner",
        "empty",
        "python-2",
        "not",
        "nested",
        "chained",
    ],
)
def test_calls_task_init__source__is_read_as_code(source: str, calls: bool) -> None:
    assert entry_script.calls_task_init(source) is calls


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import os\n", 0),
        ('"""Train."""\nimport os\n', 1),
        ('"""Train\n\na model."""\n\nfrom __future__ import annotations\nfrom __future__ import division\nx = 1\n', 6),
        ("#!/usr/bin/env python\n# -*- coding: latin-1 -*-\nimport os\n", 2),
        ("x = 1\n'no docstring'\n", 0),
        ("", 0),
        ("print 'old python'", None),
    ],
    ids=["code", "docstring", "future", "encoding", "text", "empty", "unreadable"],
)
def test_line_before_code__what_must_come_first__stays_above(source: str, lines: int | None) -> None:
    assert entry_script.line_before_code(source) == lines
