"""Every command that the documents name is run by the suite: here stands by which test.

A new command fails here until a test runs it, at its smallest size. Commands are found in code blocks and code spans.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import ci_trigger
from sandbox.scenarios import catalogue

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob(".github/*.md"), ROOT / "sandbox" / "README.md"]
TESTS = [path for folder in ("tests", "sandbox/tests") for path in (ROOT / folder).rglob("test_*.py")]
SCENARIOS: dict[str, catalogue.Scenario[Any]] = {**catalogue.EVERY, **catalogue.AUDITS}
COMMAND = re.compile(
    r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:python (?=ci_))?"  # before it
    r"((?:make|python -m|ci_trigger\.py)(?: [^\s#]\S*)+)"  # its words, one space apart
    r"(?:\s+#.*|\s{2,}.*)?"  # a comment, or an explanation in a column
)


@dataclass(frozen=True)
class RunBy:
    """A text that runs the command: in a test; in the functions of a scenario that a test plays; or in `source`."""

    text: str
    scenario: str = ""
    source: str = ""


RUN_BY = {
    r"make demo( ALL=1)?": RunBy('("make demo ALL=1", {**catalogue.EVERY'),
    r"make demo( SCENARIO=\S+| KEEP=1| SERVER=env)+": RunBy('make("make demo SCENARIO=first-model KEEP=1 SERVER=env")'),
    r"make test( ALL=1| FAST=1)?": RunBy('["make test", "make test ALL=1", "make test FAST=1"]'),
    r"make bench( SMALL=1)?": RunBy('make("make bench SMALL=1")'),
    r"make profile( AGENTS=installed)?": RunBy('make("make profile CHECKS=1")'),
    r"make faults( N=\d+)?( SEED=\d+)?": RunBy('"make faults SEED=14081 N=20"'),
    r"make faults ONLY=.*": RunBy('"make faults ONLY=every-request:report N=4"'),
    r"python -m tools\.faults\.matrix --write \S+": RunBy('"-m", "tools.faults.matrix", str(record), "--write"'),
    r"make lock": RunBy('["make", "lock", "-C"'),
    r"make stop": RunBy('make("make stop")'),
    r"make clean": RunBy('make("make clean")'),
    r"python -m tools\.words( --list docs)?": RunBy('["python -m tools.words", "python -m tools.words --list docs"]'),
    r"python -m tools\.reference": RunBy('run("python -m tools.reference"'),
    r"python -m sandbox": RunBy('"-m", "sandbox", "--child"', source="sandbox/runtime/child.py"),
    r"python -m sandbox --stop": RunBy('f"python -m sandbox --stop --directory'),
    r"python -m sandbox\.servers\.clearml_server": RunBy('"sandbox.servers.clearml_server"'),
    r"ci_trigger\.py pr": RunBy('("pr",)', scenario="better"),
    r"ci_trigger\.py promote": RunBy('("promote",)', scenario="promote-twice"),
    r"ci_trigger\.py audit": RunBy('("audit",)', scenario="audit-findings"),
    r"ci_trigger\.py rerun( RUN)?( \w+=\S+)*": RunBy('("rerun", run, *changes)', scenario="rerun-edited"),
    r"ci_trigger\.py rollback": RunBy('("rollback",)', scenario="rollback"),
    r"ci_trigger\.py schedule( daily 22:30| weekly mon 06:00| off)?": RunBy('command=("schedule", *when)'),
    r"ci_trigger\.py validate( \[FILE\])?": RunBy('"python ci_trigger.py validate .github/clearml-ci.yml"'),
    r"ci_trigger\.py calibrate( 10| \[N\])?": RunBy('("calibrate", "5")', scenario="calibrate"),
    r"ci_trigger\.py history( --metric TITLE/SERIES)?": RunBy('"history", "--project", project.name'),
    r"ci_trigger\.py agents( --detach)?": RunBy('"python ci_trigger.py agents --detach {SMALL}"'),
    r"ci_trigger\.py agents --status": RunBy('run("python ci_trigger.py agents --status")'),
    r"ci_trigger\.py agents --controllers 0 --code --detach": RunBy("agents --controllers 0 --code"),
    r"ci_trigger\.py agents --systemd units": RunBy('"agents --systemd units"'),
    r"ci_trigger\.py agents --compose compose": RunBy('"agents --compose compose"'),
    r"ci_trigger\.py agents --stop": RunBy('run("python ci_trigger.py agents --stop")'),
    r"ci_trigger\.py backtest( (FILE|\[FILE\]|\.github/clearml-ci\.yml))?": RunBy(
        '"backtest", ".github/clearml-ci.yml"'
    ),
    r"ci_trigger\.py register": RunBy('command=("register",)'),
}


def commands_of(page: str) -> list[str]:
    """The commands of a page, without variables before them, comments behind them, and `python` of ci_trigger.py."""
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL))
    blocks = re.findall(r"^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = [part.strip() for text in [*"".join(blocks).splitlines(), *spans] for part in text.split(" && ")]
    return [match[1] for line in lines if (match := COMMAND.fullmatch(line))]


NAMED = {
    **{f"ci_trigger.py {verb}": "ci_trigger.py" for verb in ci_trigger.COMMANDS},
    **dict.fromkeys(commands_of(f"```\n{ci_trigger.HELP}```\n"), "ci_trigger.py --help"),
    **{command: str(path.relative_to(ROOT)) for path in PAGES for command in commands_of(path.read_text())},
}


@pytest.mark.parametrize("command", sorted(NAMED))
def test_command__that_a_document_names__is_run_by_the_suite(command: str) -> None:
    known = [pattern for pattern in RUN_BY if re.fullmatch(pattern, command)]
    assert known, f"{NAMED[command]} names `{command}`: run it in a test, and add it to RUN_BY in {Path(__file__).name}"


@pytest.mark.parametrize("pattern", RUN_BY)
def test_command__of_this_list__is_named_by_a_document_and_run_by_its_test(pattern: str) -> None:
    run_by = RUN_BY[pattern]
    assert [command for command in NAMED if re.fullmatch(pattern, command)], "no document names it: remove it here"
    assert [text for text in sources(run_by) if run_by.text in text], f"no test has the text {run_by.text}"


def sources(run_by: RunBy) -> Iterator[str]:
    """The texts one of which must run the command."""
    if run_by.scenario:
        yield from map(inspect.getsource, reached_from(SCENARIOS[run_by.scenario].play))
    elif run_by.source:
        yield (ROOT / run_by.source).read_text()
    else:
        yield from (path.read_text() for path in TESTS if path != Path(__file__))


@pytest.mark.parametrize("run_by", [run_by for run_by in RUN_BY.values() if run_by.scenario])
def test_command__of_a_scenario__is_run_by_an_end_to_end_test(run_by: RunBy) -> None:
    """The test plays the scenario by its name, or calls one of its functions that run the command."""
    functions = [each for each in reached_from(SCENARIOS[run_by.scenario].play) if runs(each, run_by.text)]
    calls = [f"{each.__module__.rpartition('.')[2]}.{each.__name__}(" for each in functions]
    texts = [path.read_text() for path in TESTS if path.parent.name == "agents"]
    assert [text for text in texts if any(part in text for part in (f'"{run_by.scenario}"', *calls))]


def runs(function: Callable[..., Any], text: str) -> bool:
    return any(text in inspect.getsource(each) for each in reached_from(function))


def reached_from(play: Callable[..., Any]) -> list[FunctionType]:
    """The function, and those of the scenarios that it calls, directly or not."""
    reached, waiting = [], [play]
    while waiting:
        function = waiting.pop()
        if isinstance(function, FunctionType) and function not in reached:
            reached.append(function)
            waiting += called_by(function)
    return reached


def called_by(function: FunctionType) -> list[Any]:
    names = re.findall(r"\b(?:(\w+)\.)?(\w+)\(", inspect.getsource(function))
    scopes = [
        (function.__globals__.get(module) if module else inspect.getmodule(function), name) for module, name in names
    ]
    called = [getattr(scope, name, None) for scope, name in scopes if isinstance(scope, ModuleType)]
    return [each for each in called if getattr(each, "__module__", "").startswith("sandbox.scenarios")]


@pytest.mark.parametrize(
    ("page", "commands"),
    [
        ("```bash\nA_B=c python ci_trigger.py rerun RUN x=5   # again\n```", ["ci_trigger.py rerun RUN x=5"]),
        ("```\nmake demo    # checks\nmake stop && make clean\n```", ["make demo", "make stop", "make clean"]),
        ("Run `ci_trigger.py rollback`, or `python -m sandbox`.", ["ci_trigger.py rollback", "python -m sandbox"]),
        ("`make` and `ci_trigger.py`\n```\nci_trigger.py   settings → run\nci_trigger.py  pipelines/\n```", []),
    ],
    ids=["variable and comment", "several", "spans", "no command"],
)
def test_commands__of_a_page__are_those_that_it_shows(page: str, commands: list[str]) -> None:
    assert commands_of(page) == commands
