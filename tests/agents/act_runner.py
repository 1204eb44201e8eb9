"""Run a workflow as GitHub does, by nektos/act on this machine, with action.yml from an export without `.git`.

act differs from GitHub in one point: it matches the names of inputs by case (GitHub's runner ignores it), so they are
given in lower case. The action of GitHub's own is a stub: Python is the tests' own, and instead of installing
packages it links to those of the tests.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from github import Github

from sandbox.runtime import github_access, processes
from sandbox.runtime.processes import Process
from sandbox.scenarios import job
from sandbox.scenarios.story import Story

ACTION = "YOUR-ORG/clearml-ci@v1"
ACT = Path(sys.executable).with_name("act")
SECONDS = 240
SETUP_PYTHON = f"""
name: stub
description: the tests' own Python
outputs:
  python-path: {{description: its path, value: "PYTHON"}}
  python-version: {{description: its version, value: "{sys.version.split()[0]}"}}
runs: {{using: composite, steps: [{{run: "true", shell: bash}}]}}
"""
LINK = f'exec ln -sfn {sysconfig.get_path("purelib")} "$PACKAGES"'
LINKING_PYTHON = f"""#!/bin/sh
case "$*" in
  "-m pip install "*) {LINK} ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@dataclass(frozen=True)
class Result:
    """The result of a workflow. `outputs` and `summary` are those of the step that used the action."""

    exit_code: int
    outputs: Mapping[str, str]
    summary: str
    log: str


@dataclass(frozen=True)
class Act:
    """act, and the folders that stand for the repositories of actions."""

    story: Story
    directory: Path
    actions: Mapping[str, Path]

    def run(
        self, workflow: Mapping[Any, Any], *, event_name: str, event: Mapping[str, Any], secrets: Mapping[str, str]
    ) -> Result:
        with tempfile.TemporaryDirectory(dir=self.directory) as folder:  # it holds keys, which must not stay
            place = Path(folder)
            _write(place, workflow, event, {**secrets, "GITHUB_TOKEN": self.story.sandbox.github.workflow_token})
            return _execute([str(ACT), event_name, *self._options(place)], place)

    def _options(self, place: Path) -> list[str]:
        hub, clearml = self.story.sandbox.github, self.story.sandbox.clearml.environment()
        runner = {
            # Samples set the API's address alone; on this machine the others do not follow from its port.
            **{name: clearml[name] for name in ("CLEARML_WEB_HOST", "CLEARML_FILES_HOST")},
            "GITHUB_API_URL": hub.api_url,
            "GITHUB_SERVER_URL": hub.url,
            "GITHUB_REPOSITORY": self.story.sandbox.repository,
            "NO_PROXY": "127.0.0.1,localhost",
        }
        return [
            *("--directory", "workspace", "--workflows", "workflow.yml", "--eventpath", str(place / "event.json")),
            *("--secret-file", str(place / "secrets"), "--no-cache-server", "--json"),
            *(f"--platform=ubuntu-{label}=-self-hosted" for label in ("latest", "20.04")),
            *(f"--local-repository={name}={folder}" for name, folder in self.actions.items()),
            *(f"--env={name}={value}" for name, value in runner.items()),
        ]


def begin(story: Story, directory: Path) -> Act:
    """The action in a repository of its own on the local GitHub, at a tag, and exported for the runner."""
    owner, name = ACTION.split("@")[0].split("/")
    made = as_person(story, owner).get_user().create_repo(name)
    _, commit, _ = job.code_of_agents()
    _git("push", "-q", made.clone_url, f"{commit}:refs/heads/main", f"{commit}:refs/tags/v1")
    _git("archive", "--format=zip", f"--output={directory / 'action.zip'}", commit)
    shutil.unpack_archive(directory / "action.zip", directory / "action")
    action = yaml.safe_load((directory / "action" / "action.yml").read_text())
    used = {step["uses"] for step in action["runs"]["steps"] if "uses" in step}
    assert {name.split("@")[0] for name in used} == {"actions/setup-python"}
    linking = _program(directory / "python", LINKING_PYTHON)
    (directory / "bin").mkdir()
    _program(directory / "bin" / "uv", f"#!/bin/sh\n{LINK}\n")
    stub = _setup_python(directory / "linking", str(linking))
    return Act(story, directory, {ACTION: directory / "action", **dict.fromkeys(used, stub)})


def installing(act: Act) -> Act:
    """Return the same with a Python that installs the packages."""
    stub = _setup_python(act.directory / "installing", sys.executable)
    return dataclasses.replace(act, actions={**dict.fromkeys(act.actions, stub), ACTION: act.actions[ACTION]})


def as_person(story: Story, login: str) -> Github:
    """Return the client of a user of the local GitHub."""
    hub = story.sandbox.github
    answer = requests.post(
        f"{hub.url}/_sandbox/tokens",
        json={"kind": "pat", "login": login},
        headers={"Authorization": f"token {hub.owner_token}"},
        timeout=10,
    )
    answer.raise_for_status()
    return github_access.connect(hub.api_url, answer.json()["token"])


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(job.CHECKOUT), *arguments], check=True)


def _setup_python(folder: Path, python: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "action.yml").write_text(SETUP_PYTHON.replace("PYTHON", python))
    return folder


def _write(place: Path, workflow: Mapping[Any, Any], event: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    workspace = place / "workspace"
    workspace.mkdir()
    (workspace / "workflow.yml").write_text(yaml.safe_dump(_in_lower_case(workflow)))
    (place / "event.json").write_text(json.dumps(event))
    (place / "secrets").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))


def _in_lower_case(workflow: Mapping[Any, Any]) -> dict[Any, Any]:
    content: dict[Any, Any] = json.loads(json.dumps({str(name): part for name, part in workflow.items()}))
    content["on"] = content.pop("True", content.get("on"))  # YAML 1.1 reads the key `on` as true
    for job_ in content["jobs"].values():
        for step in job_["steps"]:
            if "with" in step:
                step["with"] = {name.lower(): value for name, value in step["with"].items()}
    return content


def _program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o700)
    return path


def _execute(command: list[str], place: Path) -> Result:
    with subprocess.Popen(
        command,
        cwd=place,
        env=_with_uv(processes.clean_environment(place / "home"), place.parent / "bin"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as act:
        born = Process.of(act.pid)
        try:
            output, _ = act.communicate(timeout=SECONDS)
        except BaseException:
            processes.end_trees([born], patience=10.0)
            raise
    return _ran(act.returncode, output)


def _with_uv(environment: dict[str, str], folder: Path) -> dict[str, str]:
    return {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"}


def _ran(exit_code: int, output: str) -> Result:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    lines = [line for line in lines if line["level"] != "warning" or "command" in line]  # act misses a git repository
    steps = [line for line in lines if len(line.get("stepID", [])) == 1]
    return Result(
        exit_code=exit_code,
        outputs={line["name"]: line["arg"] for line in steps if line.get("command") == "set-output"},
        summary="".join(line["content"] for line in steps if line.get("command") == "summary"),
        log="\n".join(str(line["msg"]).rstrip("\n") for line in lines),
    )
