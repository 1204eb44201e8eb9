"""The settings of the agents: what makes them fast, what keeps them apart, and which credentials each role gets.

Measured on clearml-agent 3.0.3, on its way from a queued task to its end: an environment for each task costs 5 to 20 s,
a queue that is looked at every 5 s costs 2.5 s a task on average and as much again at its end, and the SDK's
reporting subprocess up to 11 s as a task closes.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clearml_ci.github_api import credentials
from clearml_ci.local_agents.plan import Agent, Role, role_of_steps

Section = dict[str, Any]

GITHUB = (*credentials.TOKENS, credentials.APP_ID, credentials.KEY, credentials.KEY_FILE)
OF_GITHUB = (*GITHUB, "GITHUB_API_URL")

_REPORT_SECONDS = 5  # between an agent's reports of what it executes; 30 by default

_GIT = ("git_user", "git_pass", "git_host", "git")  # of the section `agent`

# The variables that reach an agent; what else its tasks need stands in `environment` of clearml.conf.
_KEPT = frozenset(
    {
        *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM", "LD_LIBRARY_PATH"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CLEARML_API_HOST_VERIFY_CERT"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    }
)
_KEPT_PREFIXES = ("PIP_", "UV_", "CUDA_", "NVIDIA_")
_KEPT_FOR_CONTAINERS = ("DOCKER_",)
_KEPT_FOR_TRUSTED = frozenset({"SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND"})

# Arguments of docker that a task may bring along. Others, such as `-v /:/host`, would open this machine to its code.
_DOCKER_ARGUMENTS = ["^(-e|--env)(=.*)?$", "^(-m|--memory|--cpus|--shm-size|--ulimit)(=.*)?$"]


def write_configuration(agent: Agent, sections: Mapping[str, Section], environ: Mapping[str, str]) -> None:
    """Write the agent's clearml.conf, which only its user can read. `sections` are those of the user's own."""
    path = agent.configuration
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(configuration(agent, sections, environ), file, indent=1)  # HOCON reads JSON


def configuration(agent: Agent, sections: Mapping[str, Section], environ: Mapping[str, str]) -> Section:
    """The content of the agent's clearml.conf."""
    return {
        "api": sections["api"],
        "agent": _merged({"docker_args_filters": _DOCKER_ARGUMENTS, **sections.get("agent", {})}, _agent(agent)),
        "sdk": _merged(sections.get("sdk", {}), _sdk(agent)),
        "environment": environment(agent.role, sections, environ),
        "files": dict(sections.get("files", {})),
    }


def without_git(sections: Mapping[str, Section]) -> dict[str, Section]:
    """The sections without `environment` and the access to git: what code of pull requests may have."""
    kept = {name: value for name, value in sections.items() if name not in ("environment", "files")}
    return {**kept, "agent": {name: value for name, value in sections.get("agent", {}).items() if name not in _GIT}}


def git_of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The access to git that clearml-agent's own variables give."""
    names = {name: f"CLEARML_AGENT_{name.upper()}" for name in ("git_user", "git_pass", "git_host")}
    return {name: environ[variable] for name, variable in names.items() if environ.get(variable)}


def environment(role: Role, sections: Mapping[str, Section], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that the agent's tasks get. The credentials for GitHub go to those that run steps."""
    configured = {name: str(value) for name, value in sections.get("environment", {}).items()}
    if role is role_of_steps(environ):
        return {**configured, **{name: environ[name].strip() for name in OF_GITHUB if environ.get(name, "").strip()}}
    return {name: value for name, value in configured.items() if name not in GITHUB}


def variables(agent: Agent, environ: Mapping[str, str], *, poll_seconds: float) -> dict[str, str]:
    """The environment of the agent's process."""
    own = {
        # The virtual environment's programs first: agents look for `python3.x` and virtualenv by name.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)]),
        "HOME": str(agent.home),
        "TMPDIR": str(agent.temporary),
        "PYTHONUNBUFFERED": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "CLEARML_CONFIG_FILE": str(agent.configuration),
        "TRAINS_CONFIG_FILE": str(agent.configuration),
        "CLEARML_WORKER_ID": agent.worker,
        "CLEARML_WORKER_NAME": agent.worker,
        "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC": f"{poll_seconds:g}",
        "CLEARML_AGENT_STATUS_REPORT_FREQ_SEC": str(_REPORT_SECONDS),
        "CLEARML_AGENT_DISABLE_SSH_MOUNT": "1",
    }
    # The code of controllers and steps is this project's own, whose packages stand where this command runs.
    trusted = {"CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1"} if agent.role.is_trusted else {}
    return {**{name: value for name, value in environ.items() if _is_kept(name, agent)}, **own, **trusted}


def command(agent: Agent) -> list[str]:
    """The command of the agent's process; it holds no secret."""
    docker = ["--docker", agent.image] if agent.image else []
    configured = ["--config-file", str(agent.configuration)]
    return [sys.executable, "-m", "clearml_agent", *configured, "daemon", "--queue", agent.queue, *docker]


def _is_kept(name: str, agent: Agent) -> bool:
    plain = name.upper()
    prefixes = (*_KEPT_PREFIXES, *(_KEPT_FOR_CONTAINERS if agent.image else ()))
    return plain in _KEPT or plain.startswith(prefixes) or (agent.role.is_trusted and plain in _KEPT_FOR_TRUSTED)


def _sdk(agent: Agent) -> Section:
    return {
        "apply_environment": True,
        "storage": {"cache": {"default_base_dir": str(agent.files / "storage")}},
        "development": {"report_use_subprocess": False, "suppress_update_message": True},
    }


def _agent(agent: Agent) -> Section:
    """The agent's files lie in its own folder, clones and built environments among them."""
    files = agent.files
    return {
        "worker_id": agent.worker,
        "worker_name": agent.worker,
        "python_binary": sys.executable,
        "apply_environment": True,
        "disable_agent_update_check": True,
        "enable_git_ask_pass": True,  # otherwise git's command line shows the password
        "crash_on_exception": False,
        "venvs_dir": str(files / "environments"),
        "venvs_cache": {"path": str(files / "environments-cache"), "max_entries": 10, "free_space_threshold_gb": 2},
        "vcs_cache": {"enabled": True, "path": str(agent.clones)},
        "pip_download_cache": {"enabled": True, "path": str(files / "packages")},
        "docker_pip_cache": str(files / "docker-pip"),
        "docker_apt_cache": str(files / "docker-apt"),
        "bootstrap": {
            "use_bootstrap": False,
            "host_bootstrap_dir": str(files / "bootstrap"),
            "host_bootstrap_cache_dir": str(files / "bootstrap-cache"),
        },
    }


def _merged(given: Mapping[str, Any], own: Mapping[str, Any]) -> Section:
    """The given section with our own values in it, section by section."""
    below = {
        name: _merged(given.get(name) or {}, value) if isinstance(value, dict) else value for name, value in own.items()
    }
    return {**given, **below}
