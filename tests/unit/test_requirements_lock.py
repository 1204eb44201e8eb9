"""The lock file, which the action installs: requirements.txt and all that its packages need, pinned by hash."""

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.test_entry_points import roots

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PINS = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
PYTHONS = ("3.10.0", "3.11.0", "3.12.0", "3.13.0")
RENEW = "run `make lock`"


def locked(python: str) -> dict[str, str]:
    """The versions that pip installs with this Python on Linux, by package."""
    environment = {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
    }
    entries = [Requirement(line.rstrip(" \\")) for line in re.findall(r"^\S.*==.*", LOCK, re.MULTILINE)]
    kept = [entry for entry in entries if not entry.marker or entry.marker.evaluate(environment)]
    assert len({canonicalize_name(entry.name) for entry in kept}) == len(kept), "a package has two versions"
    return {canonicalize_name(entry.name): str(entry.specifier) for entry in kept}


@pytest.mark.parametrize("python", PYTHONS)
def test_lock__each_python__has_the_pins_of_the_requirements(python: str) -> None:
    found = locked(python)
    assert {pin.name: found.get(canonicalize_name(pin.name)) for pin in PINS} == {
        pin.name: str(pin.specifier) for pin in PINS
    }, RENEW


def test_lock__this_python__has_all_that_the_packages_need() -> None:
    found = locked(sys.version.split()[0])
    missing = {
        f"{name} needs {needed.name}"
        for name in found
        for needed in map(Requirement, metadata.requires(name) or [])
        if not needed.marker or needed.marker.evaluate({"extra": ""})
        if canonicalize_name(needed.name) not in found
    }
    assert not missing, RENEW


def needed_as_extras() -> set[str]:
    """The packages that a pinned one needs as an extra of a third: `pyjwt[crypto]`."""
    needed = [Requirement(line) for pin in PINS for line in metadata.requires(pin.name) or []]
    extras = [
        (each.name, extra) for each in needed if not each.marker or each.marker.evaluate() for extra in each.extras
    ]
    return {
        canonicalize_name(found.name)
        for name, extra in extras
        for found in map(Requirement, metadata.requires(name) or [])
        if found.marker and found.marker.evaluate({"extra": extra}) and not found.marker.evaluate({"extra": ""})
    }


def test_lock__each_package__has_hashes() -> None:
    entries = [entry for entry in re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE) if entry and entry[0] != "#"]
    assert len(entries) > 20
    assert all("--hash=sha256:" in entry for entry in entries)


def test_action__packages_of_the_job__are_those_of_the_lock_file() -> None:
    action = (ROOT / "action.yml").read_text()
    assert '--require-hashes -r "$GITHUB_ACTION_PATH/requirements.lock"' in action
    assert "requirements.txt" not in action.replace("run_requirements", "").partition("runs:")[2]


def test_action__packages_of_the_job__come_from_no_cache_that_another_job_wrote() -> None:
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    assert [step["name"] for step in steps if "cache" in step.get("uses", "") or "cache" in step.get("with", {})] == []
    assert [step["name"] for step in steps if "if" in step] == []


def test_requirements__packages_that_the_product_imports__are_those_that_are_pinned() -> None:
    """One that only comes with another package would go with it; extras do not come with clearml-agent's resolver."""
    files = [path for folder in ("clearml_ci", "pipelines", "steps") for path in (ROOT / folder).rglob("*.py")]
    imported = {name for path in files for name in roots(path)} - sys.stdlib_module_names - {"clearml_ci"}
    distributions = metadata.packages_distributions()
    needed = {canonicalize_name(name) for package in imported for name in distributions[package]}
    assert needed_as_extras()
    assert needed | needed_as_extras() == {canonicalize_name(pin.name) for pin in PINS}
