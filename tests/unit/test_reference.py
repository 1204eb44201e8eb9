"""The list of parameters, and what is generated from it."""

import re
from pathlib import Path

import pytest

from clearml_ci.parameters import catalogue
from clearml_ci.parameters.parameter import Parameter
from tools import reference

DOCS = reference.ROOT / "docs"


@pytest.mark.parametrize("path", reference.files(), ids=lambda path: str(path.name))
def test_generated__committed_file__is_up_to_date(path: Path) -> None:
    """To write it: `python -m tools.reference`."""
    assert path.read_text(encoding="utf-8") == reference.generated(path)


@pytest.mark.parametrize(
    ("page", "tables"),
    [
        ("inputs.md", {"inputs"}),
        ("policy.md", {"policy", "policy remote_run"}),
        ("reruns.md", {"run parameters"}),
    ],
    ids=["inputs", "policy", "reruns"],
)
def test_generated__page__has_its_tables(page: str, tables: set[str]) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert tables <= set(re.findall(r"<!-- table: (.+?) -->", text))
    assert text.count("<!-- table: ") == text.count("<!-- /table -->")


@pytest.mark.parametrize("name", reference.TABLES)
def test_table__each__is_written_between_its_markers(name: str, tmp_path: Path) -> None:
    begin, end = (
        ("        # table: {}", "        # /table")
        if name.startswith("action")
        else ("<!-- table: {} -->", "<!-- /table -->")
    )
    path = tmp_path / ("action.yml" if name.startswith("action") else "page.md")
    path.write_text(f"before\n{begin.format(name)}\nstale\n{end}\nafter\n", encoding="utf-8")
    written = reference.generated(path)
    assert written.startswith(f"before\n{begin.format(name)}\n")
    assert written.endswith(f"{end}\nafter\n")
    assert "stale" not in written
    assert len(written.splitlines()) > 10


@pytest.mark.parametrize("parameter", catalogue.PARAMETERS, ids=lambda parameter: str(parameter.name))
def test_parameter__each__is_described_in_a_sentence_and_its_default_is_valid(parameter: Parameter) -> None:
    assert parameter.help.endswith(".")
    assert "|" not in parameter.help + parameter.absent  # it would end a cell of a table
    assert parameter.group in catalogue.GROUPS
    assert {*parameter.pipelines} <= {*catalogue.PIPELINES}
    if parameter.form and parameter.default:
        assert parameter.form.write(parameter.value("", parameter.name)) == parameter.default


def test_parameters__names_and_variables__are_unique() -> None:
    names = [parameter.name for parameter in catalogue.PARAMETERS]
    variables = [variable for parameter in catalogue.PARAMETERS for variable in parameter.variables]
    keys = [parameter.key.path for parameter in catalogue.PARAMETERS if parameter.key]
    for listed in (names, variables, keys):
        assert len(listed) == len(set(listed))
    assert {parameter.fallback for parameter in catalogue.PARAMETERS} - {""} <= {*names}
    assert {*catalogue.PROBE_VARIABLES} <= {*variables}


def test_parameters__keys_of_the_remote_run__are_its_args() -> None:
    for parameter in catalogue.PARAMETERS:
        below = parameter.key is not None and parameter.key.path.startswith("remote_run.")
        assert below is parameter.name.startswith("run_")
        if parameter.key and below:
            assert parameter.name == f"run_{parameter.key.path.removeprefix('remote_run.')}"
