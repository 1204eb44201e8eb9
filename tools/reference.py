"""Rewrite what comes from the list of parameters: `python -m tools.reference`.

It writes the tables of the documentation, between `<!-- table: NAME -->` and `<!-- /table -->`, the inputs of
action.yml, between `# table: NAME` and `# /table`, and the JSON schema of the policy file.
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from clearml_ci.parameters import catalogue
from clearml_ci.parameters.catalogue import GROUPS, PARAMETERS, PROBE_VARIABLES
from clearml_ci.parameters.parameter import Parameter
from clearml_ci.policy import policy_file, schema

ROOT = Path(__file__).parents[1]


_MARKDOWN = re.compile(r"(?P<begin><!-- table: (?P<name>.+?) -->\n).*?(?P<end><!-- /table -->)", re.DOTALL)
_YAML = re.compile(r"(?P<begin>^ *# table: (?P<name>.+?)\n).*?(?P<end>^ *# /table$)", re.DOTALL | re.MULTILINE)
_BY_HAND = ("COMMAND", "GITHUB_TOKEN")  # action.yml combines them with others
_KEYS = {key.path: (key.help or parameter.help, key.absent) for parameter, key in catalogue.of_policies()}


def files() -> list[Path]:
    """The files that hold something generated."""
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [*documents, ROOT / "action.yml", ROOT / ".github" / "clearml-ci.schema.json"]


def generated(path: Path) -> str:
    """The text that a file should have."""
    if path.suffix == ".json":
        return policy_file.schema_text()
    pattern = _MARKDOWN if path.suffix == ".md" else _YAML
    text = path.read_text(encoding="utf-8")
    return pattern.sub(lambda found: found["begin"] + TABLES[found["name"]]() + found["end"], text)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    first, *others = [f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in (head, *rows)]
    return "".join([first, "|---" * len(head), "|\n", *others])


def _default(parameter: Parameter) -> str:
    return parameter.absent or (f"`{parameter.default}`" if parameter.default else "")


def _of_inputs(parameters: Iterable[Parameter]) -> str:
    """A table of inputs, each with the names by which ClearML's earlier actions call it."""
    rows = (
        (" or ".join(f"`{name}`" for name in parameter.inputs), parameter.help, _default(parameter))
        for parameter in parameters
    )
    return _table(("input", "meaning", "default"), rows)


def _inputs_of(group: str) -> list[Parameter]:
    return [parameter for parameter in PARAMETERS if parameter.group == group and parameter.variables]


def _inputs() -> str:
    return "".join(f"\n### {group}\n\n{_of_inputs(_inputs_of(group))}" for group in GROUPS) + "\n"


def _most_used_inputs() -> str:
    rows = ((f"`{often.inputs[0]}`", often.help, _default(often)) for often in PARAMETERS if often.often)
    return _table(("input", "meaning", "default"), rows)


def _run_parameters() -> str:
    """The Args that the New run dialog shows."""
    rows = (
        (f"`{parameter.name}`", ", ".join(f"`{name}`" for name in parameter.pipelines), parameter.help)
        for parameter in PARAMETERS
        if parameter.pipelines and not parameter.name.startswith("_")
    )
    return _table(("parameter", "pipelines", "meaning"), rows)


def _policy() -> str:
    return _table(("key", "meaning", "default"), _rows(schema.SCHEMA))


def _policy_remote_run() -> str:
    rows = _rows(schema.REMOTE_RUN, above="remote_run.")
    return _table(("key", "meaning", "default"), ((key.replace("remote_run.", ""), *rest) for key, *rest in rows))


def _rows(mapping: Any, above: str = "") -> Iterator[tuple[str, str, str]]:
    """The keys of a mapping and of those below it, but for `remote_run`, which has a table of its own."""
    for name, value in mapping["properties"].items():
        path = above + name
        if value.get("type") == "object" and name != "remote_run":
            yield from _rows(value, f"{path}.")
        elif value.get("type") == "array" and "properties" in value["items"]:
            yield from _rows(value["items"], f"{path}[].")
        else:
            meaning, absent = _KEYS.get(path, (value["description"], ""))
            required = "required" if name in mapping["required"] else ""
            yield f"`{path}`", meaning, absent or required or _written(value.get("default"))


def _written(default: Any) -> str:
    if default in (None, "", [], {}) and default is not False:
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _action_inputs() -> str:
    """The inputs of action.yml: a description each, with the default, which is the program's own."""
    return "".join(f"  # {group}\n" + "".join(map(_action_inputs_of, _inputs_of(group))) for group in GROUPS)


def _action_inputs_of(parameter: Parameter) -> str:
    """The input of a parameter, and those by which ClearML's earlier actions called it."""
    own, *earlier = parameter.inputs
    default = f" Default: {_default(parameter)}." if _default(parameter) else ""
    token = "    default: ${{ github.token }}\n" if own == "github_token" else ""
    lines = [_action_input(own, parameter.help + default) + token]
    for variable, name in zip(parameter.variables[1:], earlier, strict=True):
        probe = "; without `remote_run` it requests a probe" if variable in PROBE_VARIABLES else ""
        lines.append(_action_input(name, f"Earlier name of `{own}`{probe}."))
    return "".join(lines)


def _action_input(name: str, description: str) -> str:
    line = f'    description: "{description}"\n'
    if len(line) > 120 or '"' in description:
        lines = textwrap.fill(description, 112, break_on_hyphens=False)
        line = f"    description: >-\n{textwrap.indent(lines, ' ' * 6)}\n"
    return f"  {name}:\n{line}"


def _action_variables() -> str:
    return "".join(
        f"        {variable}: ${{{{ inputs.{name} || env.{variable} }}}}\n"
        for group in GROUPS
        for parameter in _inputs_of(group)
        for variable, name in zip(parameter.variables, parameter.inputs, strict=True)
        if variable not in _BY_HAND
    )


TABLES: dict[str, Callable[[], str]] = {
    "inputs": _inputs,
    "most used inputs": _most_used_inputs,
    "run parameters": _run_parameters,
    "policy": _policy,
    "policy remote_run": _policy_remote_run,
    "action inputs": _action_inputs,
    "action variables": _action_variables,
}


def main() -> None:
    """Rewrite the files that are not as they should be, and print their names."""
    for path in files():
        text = generated(path)
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8")
            print(f"rewrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
