"""Texts that anybody may have written, made to break what parses them: each ends in one clear line, or is ignored."""

import pytest

from clearml_ci.core import console, redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.decisions import tag_ranking
from clearml_ci.job import workflow_output
from clearml_ci.parameters import check, run_arguments
from clearml_ci.policy import policy_file
from tests.unit.drawing import CHECK

DEEP_LIST, DEEP_OBJECT = "[" * 99_999, '{"a":' * 99_999
HUGE = f"1{'0' * 400}"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("pull_request", "9" * 6_000, "pull_request is '999"),
        ("pull_request", "9" * 11, "pull_request is '999"),
        ("gates", DEEP_LIST, "gates is '[[["),
        ("gates", f'[{{"title": "a", "series": "b", "minimum": {HUGE}}}]', "gates[0].minimum is '1000"),
        ("alike", DEEP_OBJECT, 'alike is \'{"a":'),
        (run_arguments.CONTEXT, DEEP_OBJECT, "_context is not what ci_trigger.py writes"),
    ],
)
def test_from_arguments__hostile_value__is_one_line(name: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        check.from_arguments({**CHECK.to_arguments(), name: text})
    assert str(raised.value).startswith(message)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("text", [DEEP_LIST, DEEP_OBJECT, f'{{"at": {HUGE}, "mode": "better", "gates": []}}'])
def test_parse_stamp__hostile_text__is_that_of_a_user(text: str) -> None:
    assert tag_ranking.parse_stamp(text) is None


@pytest.mark.parametrize("text", [DEEP_LIST, DEEP_OBJECT])
def test_secrets_of__hostile_value__is_no_error(text: str) -> None:
    assert redaction.secrets_of({"SETTINGS": text}) == frozenset()


@pytest.mark.parametrize("text", ["[" * 30_000, "{a: " * 15_000, "- " * 30_000, "? " * 30_000])
def test_load__deep_policy__is_refused_by_its_depth(text: str) -> None:
    with pytest.raises(UsageError, match="found more than 10 levels; allowed: fewer"):
        policy_file.load(text, source="policy")


COMMANDS = "a task\n::set-output name=outcome::passed\n \t::stop-commands::x\nnext ##[add-mask]e\n::add-mask::e"


@pytest.mark.parametrize("runner", ["true", ""], ids=["in a workflow", "in a shell"])
def test_log__text_with_commands_for_the_runner__is_a_text(
    runner: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", runner)
    console.log(COMMANDS)
    console.log_error(ValueError(COMMANDS))
    workflow_output.fail(COMMANDS, log_only=f"\n{COMMANDS}")
    lines = capsys.readouterr().out.splitlines()
    commands = [line for line in lines if line.strip().startswith("::") or "##[" in line]
    assert [line.split("::")[1] for line in commands] == (["error"] if runner else [])
    assert "set-output name=outcome" in "".join(lines)
