from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from clearml_ci.core.comparability import MatchRules
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.parameters import check
from clearml_ci.policy import policy_file, yaml_reader
from clearml_ci.policy import schema as policy_schema
from clearml_ci.policy.policy_file import Policy

GITHUB = Path(__file__).parents[2] / ".github"
EXAMPLE = (GITHUB / "clearml-ci.example.yml").read_text(encoding="utf-8")
KEYS = (
    "version, name, project, task_name, candidate, evidence, gates, at, baselines, alike, rule, undecided, seed, "
    "repeats, repeats_hours, accept, merge_queue, remote_run, comment, comment_authors, inconclusive, promote, "
    "audit_bisect"
)
GATE_KEYS = "metric, goal, value, at, max_regression, min, max, required, allow_zero"
A_CHECKPOINT = "own, last, or `best of` the metric of a gate, such as best of accuracy/validation"
A_METRIC = "title/series, or a mapping of title, series"
A_TOLERANCE = "a percentage such as 3%, or a number that is not negative"
A_PROJECT = "a project's name of at least 3 characters, such as Team/Digits"
A_NAME = "a task's name of at least 3 characters; a number or true goes into quotes"
A_CHECK = (
    "a name of at most 60 visible characters in one line that does not end with a branch in parentheses, as a status "
    "does; a number or true goes into quotes"
)
A_TEXT = "a text in one line; a number or true goes into quotes"
A_LIMIT = "a number of seconds above 0"
AN_ARGUMENT = "name=value without leading dashes, such as epochs=1"
A_MODULE = 'a module and its arguments, such as "pytest -m gpu"'
INSIDE = "a path inside the repository, such as "
ONE_ENTRY = "exactly one of script, module"


def load(text: str) -> Policy:
    return policy_file.load(text, source="p.yml")


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as raised:
        load(text)
    return str(raised.value)


def gate(line: str) -> str:
    return f"gates:\n  - metric: accuracy/validation\n    {line}"


def remote(line: str) -> str:
    return f"remote_run:\n  script: train.py\n  {line}"


def table(rows: dict[str, tuple[str, str]]) -> list[Any]:
    return [pytest.param(text, message, id=name) for name, (text, message) in rows.items()]


# Each stands below a first line `version: 1`. The schema alone refuses them, in an editor as well.
STRUCTURE = {
    "no-mapping-below": ("evidence: docs", "2: evidence: found 'docs'; allowed: a mapping of ignored_paths"),
    "candidate-unknown": ("candidate: best", "2: candidate: found 'best'; allowed: find, train, find-or-train, none"),
    "candidate-null": ("candidate: null", "2: candidate: found nothing; allowed: find, train, find-or-train, none"),
    "name-number": ("name: 7", f"2: name: found the number 7; allowed: {A_CHECK}"),
    "name-empty": ("name: ''", f"2: name: found ''; allowed: {A_CHECK}"),
    "name-two-lines": ('name: "a\\nb"', f"2: name: found 'a\\nb'; allowed: {A_CHECK}"),
    "name-unseen": ('name: "digits\\u200b"', f"2: name: found 'digits\\u200b'; allowed: {A_CHECK}"),
    "name-too-long": (f"name: {'x' * 61}", f"2: name: found '{'x' * 57}...'; allowed: {A_CHECK}"),
    "project-dot": ("project: .", f"2: project: found '.'; allowed: {A_PROJECT}"),
    "project-parent": ("project: a/../b", f"2: project: found 'a/../b'; allowed: {A_PROJECT}"),
    "project-empty": ("project: ''", f"2: project: found ''; allowed: {A_PROJECT}"),
    "project-slash-at-end": ("project: Team/", f"2: project: found 'Team/'; allowed: {A_PROJECT}"),
    "project-number": ("project: 2024", f"2: project: found the number 2024; allowed: {A_PROJECT}"),
    "project-two-lines": ('project: "abc\\ndef"', f"2: project: found 'abc\\ndef'; allowed: {A_PROJECT}"),
    "project-line-break-at-end": ('project: "abc\\n"', f"2: project: found 'abc\\n'; allowed: {A_PROJECT}"),
    "project-half-character": ('project: "abc\\ud800"', f"2: project: found 'abc\\ud800'; allowed: {A_PROJECT}"),
    "task-name-number": ("task_name: 1234", f"2: task_name: found the number 1234; allowed: {A_NAME}"),
    "task-name-short": ("task_name: ab", f"2: task_name: found 'ab'; allowed: {A_NAME}"),
    "ignored-path-outside": (
        "evidence:\n  ignored_paths:\n    - ../x",
        f"4: evidence.ignored_paths[0]: found '../x'; allowed: {INSIDE}docs/** or *.md",
    ),
    "gates-null": ("gates:", f"2: gates: found nothing; allowed: a list, each a mapping of {GATE_KEYS}"),
    "gates-mapping": (
        "gates: {metric: a/b}",
        f"2: gates: found a mapping; allowed: a list, each a mapping of {GATE_KEYS}",
    ),
    "gate-text": ("gates: [a/b]", f"2: gates[0]: found 'a/b'; allowed: a mapping of {GATE_KEYS}"),
    "gate-without-metric": ("gates:\n  - min: 1", f"3: gates[0].metric: found nothing; allowed: {A_METRIC}"),
    "metric-without-series": ("gates:\n  - metric: loss", f"3: gates[0].metric: found 'loss'; allowed: {A_METRIC}"),
    "metric-series-empty": ("gates:\n  - metric: loss/", f"3: gates[0].metric: found 'loss/'; allowed: {A_METRIC}"),
    "metric-spaced": ("gates:\n  - metric: a / b", f"3: gates[0].metric: found 'a / b'; allowed: {A_METRIC}"),
    "metric-list": ("gates:\n  - metric: [a, b]", f"3: gates[0].metric: found a list of 2; allowed: {A_METRIC}"),
    "metric-mapping-without-series": (
        "gates:\n  - metric: {title: a/b}",
        f"3: gates[0].metric.series: found nothing; allowed: {A_TEXT}",
    ),
    "goal": (gate("goal: up"), "4: gates[0].goal: found 'up'; allowed: maximize, minimize, MAX, MIN"),
    "value": (gate("value: mean"), "4: gates[0].value: found 'mean'; allowed: best, last"),
    "at": (gate("at: best"), f"4: gates[0].at: found 'best'; allowed: {A_CHECKPOINT}"),
    "at-without-series": (gate("at: best of loss"), f"4: gates[0].at: found 'best of loss'; allowed: {A_CHECKPOINT}"),
    "at-of-all": ("at: first", f"2: at: found 'first'; allowed: {A_CHECKPOINT}"),
    "tolerance-negative": (
        gate("max_regression: -0.1"),
        f"4: gates[0].max_regression: found the number -0.1; allowed: {A_TOLERANCE}",
    ),
    "tolerance-negative-percentage": (
        gate("max_regression: -3%"),
        f"4: gates[0].max_regression: found '-3%'; allowed: {A_TOLERANCE}",
    ),
    "tolerance-words": (
        gate("max_regression: three percent"),
        f"4: gates[0].max_regression: found 'three percent'; allowed: {A_TOLERANCE}",
    ),
    "tolerance-boolean": (
        gate("max_regression: true"),
        f"4: gates[0].max_regression: found true; allowed: {A_TOLERANCE}",
    ),
    "tolerance-infinite": (
        gate("max_regression: .inf"),
        f"4: gates[0].max_regression: found '.inf'; allowed: {A_TOLERANCE}",
    ),
    "min-nan": (gate("min: .nan"), "4: gates[0].min: found '.nan'; allowed: a finite number"),
    "min-too-large": (gate("min: 1e999"), "4: gates[0].min: found '1e999'; allowed: a finite number"),
    "max-boolean": (gate("max: true"), "4: gates[0].max: found true; allowed: a finite number"),
    "max-quoted": (gate('max: "1"'), "4: gates[0].max: found '1'; allowed: a finite number"),
    "max-hexadecimal": (gate("max: 0x1F"), "4: gates[0].max: found '0x1F'; allowed: a finite number"),
    "max-grouped": (gate("max: 1_000"), "4: gates[0].max: found '1_000'; allowed: a finite number"),
    "max-date": (gate("max: 2026-01-01"), "4: gates[0].max: found '2026-01-01'; allowed: a finite number"),
    "max-time": (gate("max: 1:30"), "4: gates[0].max: found '1:30'; allowed: a finite number"),
    "required-yes": (gate("required: yes"), "4: gates[0].required: found 'yes'; allowed: true, false"),
    "required-number": (gate("required: 1"), "4: gates[0].required: found the number 1; allowed: true, false"),
    "tag-not": (
        "baselines: {tag: -best}",
        "2: baselines.tag: found '-best'; allowed: a tag that does not begin with - or __$",
    ),
    "tag-operator": (
        "baselines: {tag: __$all}",
        "2: baselines.tag: found '__$all'; allowed: a tag that does not begin with - or __$",
    ),
    "hyperparameter-without-section": (
        "alike: {hyperparameters: [lr]}",
        "2: alike.hyperparameters[0]: found 'lr'; allowed: a pattern Section/name, such as Args/dataset or Dataset/*",
    ),
    "package-with-version": (
        "alike: {packages: [torch==2]}",
        "2: alike.packages[0]: found 'torch==2'; allowed: a package's name without a version, such as torch",
    ),
    "difference": (
        "alike: {difference: fail}",
        "2: alike.difference: found 'fail'; allowed: inconclusive, warn",
    ),
    "remote-without-entry": ("remote_run: {queue: gpu}", f"2: remote_run: found neither; allowed: {ONE_ENTRY}"),
    "remote-with-two-entries": (remote("module: pytest"), f"2: remote_run: found both; allowed: {ONE_ENTRY}"),
    "until": (remote("until: end"), "4: remote_run.until: found 'end'; allowed: first-iteration, completion, off"),
    "until-false": (
        remote("until: false"),
        "4: remote_run.until: found false; allowed: first-iteration, completion, off",
    ),
    "script-absolute": (
        "remote_run: {script: /train.py}",
        f"2: remote_run.script: found '/train.py'; allowed: {INSIDE}train.py",
    ),
    "folder-outside": (remote("folder: a/.."), f"4: remote_run.folder: found 'a/..'; allowed: {INSIDE}models/digits"),
    "module-with-dash": (
        "remote_run: {module: -m pytest}",
        f"2: remote_run.module: found '-m pytest'; allowed: {A_MODULE}",
    ),
    "argument-without-value": (
        remote("args: [epochs]"),
        f"4: remote_run.args[0]: found 'epochs'; allowed: {AN_ARGUMENT}",
    ),
    "argument-with-dashes": (
        remote("args: [a=1, --b=2]"),
        f"4: remote_run.args[1]: found '--b=2'; allowed: {AN_ARGUMENT}",
    ),
    "arguments-as-mapping": (
        remote("args: {epochs: 1}"),
        f"4: remote_run.args: found a mapping; allowed: a list, each {AN_ARGUMENT}",
    ),
    "arguments-of-a-module": (
        "remote_run: {module: pytest, args: [a=1]}",
        "2: remote_run.args: found a list of 1; allowed: no args beside module: its arguments stand behind its name",
    ),
    "limit-zero": (
        remote("queue_limit: 0"),
        f"4: remote_run.queue_limit: found the number 0; allowed: {A_LIMIT}",
    ),
    "limit-boolean": (remote("setup_limit: true"), f"4: remote_run.setup_limit: found true; allowed: {A_LIMIT}"),
    "limit-words": (remote("progress_limit: 10m"), f"4: remote_run.progress_limit: found '10m'; allowed: {A_LIMIT}"),
    "queue-number": (remote("queue: 1"), f"4: remote_run.queue: found the number 1; allowed: {A_TEXT}"),
    "label-too-long": (
        remote(f"approval_label: {'x' * 51}"),
        f"4: remote_run.approval_label: found '{'x' * 51}'; allowed: a label's name of at most 50 characters",
    ),
    "comment": ("comment: never", "2: comment: found 'never'; allowed: always, on-change, on-failure, off"),
    "comment-author": (
        "comment_authors: ['@me']",
        "2: comment_authors[0]: found '@me'; allowed: a GitHub login, such as my-bot or my-app[bot]",
    ),
    "inconclusive": ("inconclusive: warn", "2: inconclusive: found 'warn'; allowed: fail, pass"),
    "promote": ("promote: never", "2: promote: found 'never'; allowed: better, passing, on-pass"),
    "none-is-judged": (
        "candidate: none\ngates: [{metric: a/b}]",
        "3: gates: found a list of 1; allowed: no gates if candidate is none",
    ),
    "trained-and-stopped": (
        "candidate: train\nremote_run: {script: train.py}",
        "3: remote_run.until: found nothing; allowed: completion, if candidate is train or find-or-train",
    ),
    "unknown-key-near": (
        gate("max_regresion: 3%"),
        "4: gates[0].max_regresion: found an unknown key; did you mean 'max_regression'?",
    ),
    "unknown-key-far": (
        "evidence: {zzz: 1}",
        "2: evidence.zzz: found an unknown key; allowed: ignored_paths",
    ),
    "unknown-key-odd": (
        '"Gates\\n": []',
        "2: 'Gates\\n': found an unknown key; did you mean 'gates'?",
    ),
    "key-number": ("evidence: {1: {}}", "2: evidence.1: found an unknown key; allowed: ignored_paths"),
    "merge-key": (
        "evidence: {<<: {}}",
        "2: evidence.'<<': found an unknown key; allowed: ignored_paths",
    ),
}

# Beyond a schema: the text itself, and conflicts between keys. Also below a first line `version: 1`.
BEYOND = {
    "duplicate-key": ("comment: off\ncomment: always", "3: comment: found again (first in line 2); allowed: once"),
    "duplicate-version": ("version: 1", "2: version: found again (first in line 1); allowed: once"),
    "key-that-is-a-list": ("? [a]\n: b", "2: the file: found a key that is a list or a mapping; allowed: a text"),
    "same-gate-twice": (
        "gates:\n  - metric: a/b\n  - metric: {title: a, series: b}\n    value: best",
        "4: gates[1]: found 'a/b' again; allowed: one gate a metric and value",
    ),
    "trained-in-another-project": (
        "candidate: train\nproject: Digits\nremote_run:\n  project: Letters\n  script: train.py\n  until: completion",
        "5: remote_run.project: found 'Letters'; allowed: 'Digits', the project by which the baseline is looked for",
    ),
    "trained-under-another-name": (
        "candidate: train\ntask_name: train digits\nremote_run: {name: other, script: train.py, until: completion}",
        "4: remote_run.name: found 'other'; allowed: 'train digits', the task_name by which the baseline is looked for",
    ),
    "min-above-max": (
        gate("min: 2\n    max: 1.5"),
        "4: gates[0].min: found the number 2 with max 1.5; allowed: a number that is not above max",
    ),
    "value-beside-a-checkpoint": (
        gate("value: last\n    at: best of accuracy/validation"),
        "4: gates[0].value: found 'last' with at: best of accuracy/validation; allowed: no value beside at, which "
        "names the iteration",
    ),
    "checkpoint-of-no-gate": (
        gate("at: best of accuracy/validatoin"),
        f"4: gates[0].at: found 'best of accuracy/validatoin'; allowed: {A_CHECKPOINT}; "
        "did you mean 'accuracy/validation'?",
    ),
    "checkpoint-of-a-pattern": (
        "at: best of a/*\ngates:\n  - metric: a/*\n  - metric: b/c",
        f"2: at: found 'best of a/*'; allowed: {A_CHECKPOINT}; gates: b/c",
    ),
    "same-pattern-twice": (
        "gates:\n  - metric: a/*\n  - metric: {title: a, series: '*'}",
        "4: gates[1]: found 'a/*' again; allowed: one gate a metric and value",
    ),
    "alias": ("project: &a Digits\ntask_name: *a", "3: column 12: found an alias; allowed: the value written out"),
    "tag": ("project: !!python/name:os.system x", "2: column 10: found a tag; allowed: values without one"),
    "deep": ("gates: " + "[" * 20000, "2: column 17: found more than 10 levels; allowed: fewer"),
    "tab": (
        "\tproject: x",
        "2: column 1: this is no YAML: while scanning for the next token, "
        "found character '\\t' that cannot start any token",
    ),
    "open-list": (
        "gates: [",
        "3: column 1: this is no YAML: while parsing a flow node, expected the node content, but found '<stream end>'",
    ),
    "colon": ("project: a: b", "2: column 11: this is no YAML: mapping values are not allowed here"),
    "control-character": ("project: a\x00b", "2: column 11: this is no YAML: special characters are not allowed"),
    "two-documents": (
        "---\nversion: 1",
        "2: column 1: this is no YAML: expected a single document in the stream, but found another document",
    ),
}

WHOLE = {
    "empty": ("", f"1: the file: found nothing; allowed: a mapping of {KEYS}"),
    "comments-only": ("# nothing yet\n", f"1: the file: found nothing; allowed: a mapping of {KEYS}"),
    "list": ("- version: 1", f"1: the file: found a list of 1; allowed: a mapping of {KEYS}"),
    "no-version": ("project: Digits", "1: version: found nothing; allowed: 1"),
    "later-version": ("version: 2", "1: version: found the number 2; allowed: 1"),
    "quoted-version": ("version: '1'", "1: version: found '1'; allowed: 1"),
    "true-version": ("version: true", "1: version: found true; allowed: 1"),
    "indented-first-line": (
        "  version: 1\nname: digits",
        "2: column 1: this is no YAML: expected '<document start>', but found '<block mapping start>'",
    ),
    "too-large": ("#" * 65537, "1: the file: found more than 65,536 bytes; allowed: at most 65,536"),
    "too-large-in-bytes": ("#" + "é" * 32768, "1: the file: found more than 65,536 bytes; allowed: at most 65,536"),
}


@pytest.mark.parametrize(("text", "message"), table(STRUCTURE) + table(BEYOND))
def test_load__bad_value__is_reported_with_line_key_found_and_allowed(text: str, message: str) -> None:
    assert refusal(f"version: 1\n{text}\n") == f"p.yml:{message}"


@pytest.mark.parametrize(("text", "message"), table(WHOLE))
def test_load__bad_file__is_reported_in_one_line(text: str, message: str) -> None:
    assert refusal(text) == f"p.yml:{message}"


@pytest.mark.parametrize(
    ("path", "first_line", "name"),
    [
        (policy_file.FILE, "", ""),
        (".github/clearml-ci/letters.yml", "", "letters"),
        (".github/clearml-ci/letters.yml", "name: fonts\n", "fonts"),
        (".github/clearml-ci/letters (dev).yml", "", "letters (dev"),  # not the status of letters.yml of `dev`
    ],
)
def test_load__another_file__names_its_check_after_it(path: str, first_line: str, name: str) -> None:
    """A second policy without a name would turn the first one's status green."""
    text = f"version: 1\n{first_line}project: Digits\n{gate('goal: maximize')}"
    assert policy_file.load(text, source=path, path=path).check.name == name


def test_load__several_problems__are_all_reported_in_the_files_order() -> None:
    text = f"version: 3\npromot: better\n{gate('goal: up')}\n    min: x\nqueue: gpu\npromot: passing\n"
    problems = refusal(text).splitlines()
    assert [line.split(": found ")[0] for line in problems] == [
        "p.yml:1: version",
        "p.yml:2: promot",
        "p.yml:5: gates[0].goal",
        "p.yml:6: gates[0].min",
        "p.yml:7: queue",
        "p.yml:8: promot",
    ]


def test_load__two_keys_missing__are_reported_once_each() -> None:
    assert refusal("version: 1\ngates:\n  - metric: {}\n").splitlines() == [
        f"p.yml:3: gates[0].metric.title: found nothing; allowed: {A_TEXT}",
        f"p.yml:3: gates[0].metric.series: found nothing; allowed: {A_TEXT}",
    ]


def test_load__hundreds_of_problems__are_cut_and_the_cut_is_reported() -> None:
    problems = refusal("version: 1\n" + "".join(f"key{number}: 1\n" for number in range(500))).splitlines()
    assert len(problems) == 51
    assert problems[-1] == "p.yml: and more; mend these first"


def test_load__problem_in_one_gate__does_not_hide_the_conflict_of_others() -> None:
    problems = refusal("version: 1\ngates:\n  - metric: a/b\n  - metric: x\n  - metric: a/b\n")
    assert "p.yml:4: gates[1].metric: found 'x'" in problems
    assert "p.yml:5: gates[2]: found 'a/b' again" in problems


def test_load__long_value__is_cut_in_the_message() -> None:
    assert f"found '{'x' * 57}...'" in refusal(f"version: 1\ncomment: {'x' * 5000}\n")


@pytest.mark.parametrize("name", STRUCTURE)
def test_schema__bad_structure__is_refused_by_the_schema_alone(name: str) -> None:
    data = yaml_reader.read(f"version: 1\n{STRUCTURE[name][0]}\n").data
    assert data is not None
    assert not Draft202012Validator(policy_schema.SCHEMA).is_valid(data)


def test_schema__example__is_valid() -> None:
    Draft202012Validator.check_schema(policy_schema.SCHEMA)
    Draft202012Validator(policy_schema.SCHEMA).validate(yaml_reader.read(EXAMPLE).data)


def keys(schema: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, below in schema.get("properties", {}).items():
        found |= {(*path, name): below, **keys(below, (*path, name)), **keys(below.get("items", {}), (*path, name))}
    return found


@pytest.mark.parametrize("path", keys(policy_schema.SCHEMA), ids=".".join)
def test_schema__any_key__is_described_and_its_default_is_valid(path: tuple[str, ...]) -> None:
    schema = keys(policy_schema.SCHEMA)[path]
    assert schema["description"].endswith(".")
    assert schema["errorMessage"]
    assert "default" not in schema or Draft202012Validator(schema).is_valid(schema["default"])


def test_example__keys__are_all_that_there_are_but_module() -> None:
    def written(data: object) -> set[str]:
        if isinstance(data, list):
            return set().union(*(written(item) for item in data))
        if isinstance(data, dict):
            return set(data).union(*(written(value) for value in data.values()))
        return set()

    known = {path[-1] for path in keys(policy_schema.SCHEMA)}
    assert written(yaml_reader.read(EXAMPLE).data) == known - {"module"}  # stands for script, in a comment


def test_load__example__is_understood() -> None:
    policy = load(EXAMPLE)
    found = policy.check
    assert (found.name, found.project, found.task_name) == ("digits", "Digits", "train digits")
    assert found.candidate == "find"
    assert found.ignored_paths == ("docs/**", "*.md")
    assert found.gates == (
        Gate("accuracy", "validation", tolerance=3.0, minimum=0.9, maximum=1.0, at="own"),
        Gate("speed/gpu", "images per second", required=False),
        Gate("per class", "*", tolerance=5.0, at="best of accuracy/validation"),
    )
    assert found.at == "own"
    assert (found.best_tag, found.baseline_main) == ("Best Performance", False)
    assert found.alike == MatchRules(("Args/dataset", "Dataset/*"), ("torch", "scikit-learn"), True, "inconclusive")
    assert policy.remote_run is not None
    assert (policy.remote_run["queue"], policy.remote_run["args"]) == ("gpu", ["epochs=1"])
    assert (found.comment, found.comment_authors) == ("always", ("my-bot",))
    assert (found.inconclusive, found.promote) == ("fail", "better")


def test_load__version_alone__has_the_defaults() -> None:
    assert load("version: 1") == Policy(
        source="p.yml",
        check=replace(
            check.NOTHING,
            name="",
            project="",
            task_name="",
            candidate="find",
            ignored_paths=(),
            gates=(),
            best_tag="Best Performance",
            baseline_main=False,
            alike=MatchRules((), (), False, "inconclusive"),
            comment="always",
            comment_authors=(),
            inconclusive="fail",
            promote="better",
        ),
        remote_run=None,
    )


def test_load__remote_run__is_kept_without_its_defaults() -> None:
    assert load("version: 1\nremote_run: {module: pytest -m gpu}").remote_run == {"module": "pytest -m gpu"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("{metric: a/b}", Gate("a", "b"), id="defaults-are-those-of-Gate"),
        pytest.param("{metric: a/b/c}", Gate("a", "b/c"), id="first-slash"),
        pytest.param("{metric: {title: a/b, series: c}}", Gate("a/b", "c"), id="mapping"),
        pytest.param("{metric: Summary/F1 score}", Gate("Summary", "F1 score"), id="single-value"),
        pytest.param("{metric: a/b, goal: MIN}", Gate("a", "b", goal="minimize"), id="predecessors-goal"),
        pytest.param("{metric: a/b, value: last}", Gate("a", "b", value="last"), id="last"),
        pytest.param("{metric: a/b, max_regression: 3%}", Gate("a", "b", tolerance=3.0), id="percentage"),
        pytest.param("{metric: a/b, max_regression: '0.5 %'}", Gate("a", "b", tolerance=0.5), id="spaced"),
        pytest.param(
            "{metric: a/b, max_regression: 0.01}", Gate("a", "b", tolerance=0.01, relative=False), id="absolute"
        ),
        pytest.param(
            "{metric: a/b, max_regression: 1e-3}", Gate("a", "b", tolerance=0.001, relative=False), id="exponent"
        ),
        pytest.param("{metric: a/b, min: 0, max: 0}", Gate("a", "b", minimum=0.0, maximum=0.0), id="one-value-allowed"),
        pytest.param("{metric: a/b, min: -1}", Gate("a", "b", minimum=-1.0), id="negative-floor"),
    ],
)
def test_load__gate__has_its_meaning(line: str, expected: Gate) -> None:
    (found,) = load(f"version: 1\ngates:\n  - {line}\n").check.gates
    assert found == expected


def test_load__same_metric_with_best_and_last__are_two_gates() -> None:
    found = load("version: 1\ngates: [{metric: a/b}, {metric: a/b, value: last}]")
    assert [gate.value for gate in found.check.gates] == ["best", "last"]


def test_load__off_without_quotes__is_the_word() -> None:
    found = load("version: 1\ncomment: off\nremote_run:\n  until: off\n")
    assert (found.check.comment, found.remote_run) == ("off", {"until": "off"})


def test_load__texts_that_yaml_1_1_takes_for_something_else__are_texts() -> None:
    found = load(
        "version: 1\nname: 2026-01-01\nproject: 1_000\ntask_name: 12:30:45\nbaselines: {tag: =, main: &a true}\n"
    )
    assert (found.check.name, found.check.project, found.check.task_name) == ("2026-01-01", "1_000", "12:30:45")
    assert (found.check.best_tag, found.check.baseline_main) == ("=", True)


def test_load__windows_line_ends_and_byte_order_mark__make_no_difference() -> None:
    assert load("\ufeff" + EXAMPLE.replace("\n", "\r\n")) == load(EXAMPLE)


def test_summary__example__has_a_line_for_each_rule() -> None:
    assert policy_file.summary(load(EXAMPLE)).splitlines() == [
        "name: digits",
        "project: Digits",
        "tasks: train digits",
        "candidate: find",
        "an earlier commit counts when only these changed: docs/**, *.md",
        "gate: accuracy/validation (best, maximize), worse by at most 3% of the baseline, at least 0.9, at most 1, "
        "required",
        "gate: speed/gpu/images per second (best, maximize), worse by at most 0% of the baseline, advisory",
        "gate: each series that matches per class/* (at the best of accuracy/validation, maximize), worse by at most "
        "5% of the baseline, required",
        "baseline: tag Best Performance",
        "alike: Args/dataset, Dataset/*, torch, scikit-learn, input models and datasets; a difference: inconclusive",
        "loss: rule noise; undecided: passed; seed in Args/seed; no repeats",
        "accepted by: role maintain, not the author",
        "remote run: train.py on the queue gpu, until first-iteration",
        "comment: always; inconclusive: fail; promote: better",
    ]


def test_summary__candidate_that_is_trained__is_run_with_or_without_the_key() -> None:
    given = "version: 1\ncandidate: train\nrepeats: 4\n"
    remote_run = "remote_run: {until: completion, script: fit.py}\n"
    shown = [policy_file.summary(load(given + more)).splitlines() for more in ("", remote_run)]
    loss = "loss: rule noise; undecided: passed; seed in seed, random_seed or random_state"
    assert f"{loss}; 4 repeats, 24 hours of agents" in shown[0]
    assert "remote run: main.py, until completion" in shown[0]
    assert "remote run: fit.py, until completion" in shown[1]


def test_summary__version_alone__names_what_is_not_done() -> None:
    lines = policy_file.summary(load("version: 1")).splitlines()
    assert lines[:4] == [
        "project: the whole workspace",
        "tasks: any",
        "candidate: find",
        "gate: none, nothing is compared",
    ]
    assert {"alike: nothing is asked", "remote run: off"} <= set(lines)


def test_summary__absolute_tolerance_and_main__are_named() -> None:
    found = load("version: 1\ngates: [{metric: a/b, max_regression: 0.01}]\nbaselines: {main: true}")
    assert "worse by at most 0.01 in the unit of the metric, required" in policy_file.summary(found)
    assert "baseline: tag Best Performance, and main at the merge base" in policy_file.summary(found)
    assert "main at" not in policy_file.summary(replace(found, check=replace(found.check, baseline_main=False)))


def test_read__good_file__is_summed_up() -> None:
    assert policy_file.summary(policy_file.read(GITHUB / "clearml-ci.example.yml")) == policy_file.summary(
        load(EXAMPLE)
    )


def test_read__bad_file__is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("version: 9", encoding="utf-8")
    with pytest.raises(UsageError, match=r"bad\.yml:1: version: found the number 9; allowed: 1"):
        policy_file.read(tmp_path / "bad.yml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version: 1 # \xff", "is no UTF-8 text (byte 13): save it as UTF-8"),
        ("é".encode() * 40000, "1: the file: found more than 65,536 bytes; allowed: at most 65,536"),
        (None, "cannot be read: No such file or directory; give the path of a policy file"),
    ],
    ids=["latin-1", "large", "missing"],
)
def test_read__unreadable__is_reported(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "p.yml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        policy_file.read(path)
    assert str(raised.value).startswith(str(path))
    assert str(raised.value).endswith(message)


def test_load__gate_that_allows_zeros__takes_0_as_a_value() -> None:
    text = "version: 1\ngates:\n  - metric: data/errors\n    goal: minimize\n    allow_zero: true\n"
    loaded = policy_file.load(text, source="policy")
    (gate,) = loaded.check.gates
    assert gate.allow_zero
    assert "0 allowed" in policy_file.summary(loaded)
