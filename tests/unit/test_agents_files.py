"""Units and compose files of `ci_trigger.py agents`, and the Dockerfile: what systemd and hadolint would refuse."""

import configparser
import re
import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.local_agents import environment_file, files, plan
from clearml_ci.local_agents.plan import Plan, Request, Role

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "ci_trigger.py"
SECRET, TOKEN = "the-secret-key", "ghp_" + "0" * 36
API = {
    "api_server": "http://c:8008",
    "web_server": "http://c:8080",
    "files_server": "http://c:8081",
    "credentials": {"access_key": "the-key", "secret_key": SECRET},
}
OWN = {"api": API, "agent": {"git_user": "octo", "git_pass": "the-git-token"}, "environment": {"GITHUB_TOKEN": TOKEN}}
SECTIONS: dict[Role, Any] = {Role.CONTROLLERS: OWN, Role.STEPS: OWN, Role.CODE: {"api": API, "agent": {}}}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    redaction.forget()


STEPS_QUEUE = {"CLEARML_CI_STEPS_QUEUE": "ci-steps"}


def request(**options: Any) -> Request:
    return Request(**{"controllers": 2, "steps": 0, "code": 0, "folder": "/srv/a", "poll_seconds": 0.5, **options})


def made(asked_for: Request, environ: Mapping[str, str] | None = None) -> Plan:
    return plan.of_request(Request(**{**vars(asked_for), "code_user": ""}), environ or {})


def units(
    directory: Path, *, environ: Mapping[str, str] | None = None, **options: Any
) -> dict[str, configparser.ConfigParser]:
    """The units that are written for these options, by name, after systemd has read them, if it is here."""
    asked_for = request(**options)
    files.write_units(asked_for, made(asked_for, environ), directory, SECTIONS, PROGRAM)
    paths = sorted(directory.glob("*.service"))
    if verify := shutil.which("systemd-analyze"):
        done = subprocess.run([verify, "verify", *paths], capture_output=True, text=True, check=False)
        assert [line for line in done.stderr.splitlines() if str(directory) in line] == []
    parsed = {}
    for path in paths:
        unit = configparser.ConfigParser(interpolation=None, strict=True)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string(path.read_text())
        parsed[path.stem] = unit
    return parsed


def test_units__of_trusted_agents_and_code__have_users_folders_and_variables_of_their_own(tmp_path: Path) -> None:
    written = units(tmp_path / "units", code=2, code_user="ci-code")
    assert {*written} == {"clearml-ci-agents", "clearml-ci-code"}
    for name, unit in written.items():
        service = unit["Service"]
        assert service["EnvironmentFile"] == str(tmp_path / "units" / f"{name}.env")
        assert (service["UMask"], service["PrivateTmp"], service["Restart"]) == ("0077", "yes", "on-failure")
        words = shlex.split(service["ExecStart"])
        assert words[1:3] == [str(PROGRAM), "agents"]
        assert words[-2:] == ["--folder", f"/var/lib/{service['StateDirectory']}"]
    assert written["clearml-ci-code"]["Service"]["User"] == "ci-code"
    assert "--controllers 2 --steps 0 " in written["clearml-ci-agents"]["Service"]["ExecStart"]
    assert "--controllers 0 --steps 0 --code 2 " in written["clearml-ci-code"]["Service"]["ExecStart"]


def test_units__secrets__stand_in_closed_files_and_those_of_github_not_beside_code(tmp_path: Path) -> None:
    units(tmp_path, code=1, code_user="ci-code")
    for path in tmp_path.iterdir():
        if any(secret in path.read_text() for secret in (SECRET, TOKEN, "the-git-token")):
            assert (path.suffix, stat.S_IMODE(path.stat().st_mode)) == (".env", 0o600)
    code = (tmp_path / "clearml-ci-code.env").read_text()
    assert f"CLEARML_API_SECRET_KEY='{SECRET}'\n" in code
    assert TOKEN not in code
    assert "the-git-token" not in code
    assert f"GITHUB_TOKEN='{TOKEN}'\n" in (tmp_path / "clearml-ci-agents.env").read_text()


def test_units__queue_for_steps__is_in_the_variables_and_its_agents_in_the_unit(tmp_path: Path) -> None:
    written = units(tmp_path, environ=STEPS_QUEUE, steps=3)
    assert "--controllers 2 --steps 3 " in written["clearml-ci-agents"]["Service"]["ExecStart"]
    text = (tmp_path / "clearml-ci-agents.env").read_text()
    assert "CLEARML_CI_STEPS_QUEUE='ci-steps'\n" in text
    assert f"GITHUB_TOKEN='{TOKEN}'\n" in text


def test_units__queue_for_steps_whose_agents_are_elsewhere__have_no_credentials_of_github(tmp_path: Path) -> None:
    units(tmp_path, environ=STEPS_QUEUE)
    assert TOKEN not in (tmp_path / "clearml-ci-agents.env").read_text()


def test_units__paths_with_signs_that_systemd_expands__are_read_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "a %h $b"
    written = units(folder)["clearml-ci-agents"]["Service"]
    assert written["EnvironmentFile"] == f"{tmp_path}/a %%h $b/clearml-ci-agents.env"
    asked_for = request()
    files.write_units(asked_for, made(asked_for), tmp_path, SECTIONS, Path("/srv/a %h $b/ci_trigger.py"))
    assert '"/srv/a %%h $$b/ci_trigger.py"' in (tmp_path / "clearml-ci-agents.service").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"code": 1}, "--systemd with --code needs --code-user NAME"),
        ({"code": 1, "docker": "python:3.12"}, "--systemd has no containers"),
    ],
    ids=["no user", "docker"],
)
def test_units__code_without_a_user_of_its_own__are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        units(tmp_path / "units", **options)
    assert not (tmp_path / "units").exists()


@pytest.mark.parametrize(
    ("environ", "steps", "services", "holder"),
    [({}, 0, {"controllers", "code"}, ["controllers"]), (STEPS_QUEUE, 3, {"controllers", "steps", "code"}, ["steps"])],
    ids=["steps with controllers", "queue for steps"],
)
def test_compose__each_role__is_a_closed_container_with_its_own_variables(
    tmp_path: Path, environ: dict[str, str], steps: int, services: set[str], holder: list[str]
) -> None:
    asked_for = request(steps=steps, code=1)
    files.write_compose(asked_for, made(asked_for, environ), tmp_path, SECTIONS, ROOT)
    document = yaml.safe_load((tmp_path / "compose.yaml").read_text())
    assert {*document["services"]} == {*document["volumes"]} == services
    for name, service in document["services"].items():
        assert service["build"] == {"context": str(ROOT)}
        assert re.fullmatch(r"clearml-ci-agents:\d+\.\d+\.\d+", service["image"])
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["env_file"] == [f"{name}.env"]
        assert stat.S_IMODE((tmp_path / f"{name}.env").stat().st_mode) == 0o600
    assert not [secret for secret in (SECRET, TOKEN) if secret in (tmp_path / "compose.yaml").read_text()]
    assert [name for name in document["services"] if TOKEN in (tmp_path / f"{name}.env").read_text()] == holder
    numbers = {name: service["command"][1:7] for name, service in document["services"].items()}
    assert numbers["code"] == ["--controllers", "0", "--steps", "0", "--code", "1"]


def test_compose__key_of_an_app_in_a_file__is_in_the_variables_of_controllers(tmp_path: Path) -> None:
    key = tmp_path / "app.pem"
    key.write_text("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n")
    app = {"CLEARML_CI_APP_ID": "1", "CLEARML_CI_APP_PRIVATE_KEY_FILE": str(key)}
    asked_for = request()
    files.write_compose(
        asked_for, made(asked_for), tmp_path, {**SECTIONS, Role.CONTROLLERS: {**OWN, "environment": app}}, ROOT
    )
    text = (tmp_path / "controllers.env").read_text()
    assert r"CLEARML_CI_APP_PRIVATE_KEY='-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----'" in text
    assert "KEY_FILE" not in text


def test_environment_file__value_that_cannot_be_quoted__is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="GITHUB_TOKEN holds a single quote") as raised:
        environment_file.write(tmp_path / "a.env", {"GITHUB_TOKEN": "it's"})
    assert "it's" not in str(raised.value)


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, lines that go on joined."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def dockerfile_problems(text: str) -> set[str]:
    """The rules of hadolint that a Dockerfile breaks, of those that can be read from it without its parser."""
    found = instructions(text)
    runs = [rest for word, rest in found if word == "RUN"]
    bases = [rest for word, rest in found if word == "FROM"]
    rules = {
        "DL3006 base without a tag": any(":" not in base for base in bases),
        "DL3007 latest": any(base.endswith(":latest") for base in bases),
        "base without a full version": any(not re.search(r":\d+\.\d+\.\d+", base) for base in bases),
        "DL3002 root": [rest for word, rest in found if word == "USER"][-1:] in ([], ["root"], ["0"]),
        "DL3020 ADD": any(word == "ADD" for word, _ in found),
        "DL3009 lists": any("apt-get" in run and "rm -rf /var/lib/apt/lists/*" not in run for run in runs),
        "DL3014 yes": any("apt-get install" in run and not re.search(r"install .*(-y|--yes)", run) for run in runs),
        "DL3015 recommends": any("apt-get install" in run and "--no-install-recommends" not in run for run in runs),
        "DL3042 cache": any("pip install" in run and "--no-cache-dir" not in run for run in runs),
        "DL3025 shell form": any(word in ("CMD", "ENTRYPOINT") and not rest.startswith("[") for word, rest in found),
        "DL3003 cd": any(re.search(r"\bcd ", run) for run in runs),
        "DL3004 sudo": any("sudo" in run for run in runs),
        "DL3000 relative": any(word == "WORKDIR" and not rest.startswith("/") for word, rest in found),
        "pipe": any("|" in run for run in runs),
        "secret": bool(re.search(r"^(ARG|ENV) .*(TOKEN|KEY|SECRET|PASS)", text, re.MULTILINE | re.IGNORECASE)),
        "whole folder": any(word == "COPY" and rest.split()[0] in (".", "./") for word, rest in found),
    }
    return {rule for rule, broken in rules.items() if broken}


def test_dockerfile__of_the_agents__breaks_no_rule() -> None:
    assert dockerfile_problems((ROOT / "Dockerfile").read_text()) == set()


def test_dockerfile__that_breaks_rules__is_found() -> None:
    text = (
        "FROM python:latest\nADD https://x/y /y\nRUN cd /y && apt-get install git\nENV GITHUB_TOKEN=a\nCMD python x\n"
    )
    assert len(dockerfile_problems(text)) >= 10


def test_dockerfile__what_it_copies__is_all_that_the_command_reads() -> None:
    copied = {
        word
        for name, rest in instructions((ROOT / "Dockerfile").read_text())
        if name == "COPY"
        for word in rest.split()
    }
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert (
        copied - {"./", "./clearml_ci"}
        == kept
        == {
            "ci_trigger.py",
            "clearml_ci",
            "requirements.txt",
            "requirements-agents.txt",
        }
    )


def test_requirements__of_the_agents__have_the_clearml_agent_that_is_tested() -> None:
    pin = re.compile(r"^clearml-agent==\S+$", re.MULTILINE)
    own, tested = ((ROOT / name).read_text() for name in ("requirements-agents.txt", "sandbox/requirements.txt"))
    assert pin.findall(own) == pin.findall(tested) != []
    assert "-r requirements.txt\n" in own
