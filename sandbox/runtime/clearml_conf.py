"""The clearml.conf files of agents and developers; the user's own is never read."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox.runtime.clearml_access import Access

# Built environments, for all agents on this machine. Repositories are not kept: they change under the same address.
CACHES = Path(__file__).parents[2] / "build" / "agent-caches"
Section = dict[str, object]


def write_for_developer(path: Path, access: Access) -> None:
    _write(path, {"api": _api(access), "sdk": _sdk(path.parent / "storage")})


def write_for_agent(path: Path, access: Access, *, worker: str, environment: Mapping[str, str]) -> None:
    """`environment` is what the agent's tasks find in their environment; agents print it masked."""
    content = {
        "api": _api(access),
        "agent": _agent(path.parent, worker),
        "sdk": _sdk(path.parent / "storage"),
        "environment": dict(environment),
    }
    _write(path, content)


def write_for_agent_as_installed(path: Path, access: Access, *, environment: Mapping[str, str]) -> None:
    """Addresses and keys, as `clearml-agent init` writes them; all other settings are the agent's own."""
    _write(path, {"api": _api(access), "environment": dict(environment)})


def _write(path: Path, content: Section) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2))  # HOCON reads JSON


def _api(access: Access) -> Section:
    return {
        "api_server": access.api_url,
        "web_server": access.web_url,
        "files_server": access.files_url,
        "credentials": {"access_key": access.access_key, "secret_key": access.secret_key},
    }


def _sdk(storage: Path) -> Section:
    return {
        "apply_environment": True,
        "storage": {"cache": {"default_base_dir": str(storage)}},
        # Reporting from a subprocess costs 11 s at every task's close, by measurement.
        "development": {"report_use_subprocess": False, "suppress_update_message": True},
    }


def _agent(directory: Path, worker: str) -> Section:
    """An agent's settings; its files lie in `directory` and in CACHES instead of the home directory."""
    return {
        "worker_id": worker,
        "worker_name": worker,
        "python_binary": sys.executable,
        "apply_environment": True,
        "disable_agent_update_check": True,
        "venvs_dir": str(directory / "venvs"),
        "venvs_cache": {"path": str(CACHES / "venvs"), "max_entries": 4},
        "vcs_cache": {"enabled": True, "path": str(directory / "vcs-cache")},
        "pip_download_cache": {"enabled": True, "path": str(CACHES / "pip-download")},
        "docker_pip_cache": str(directory / "docker-pip-cache"),
        "docker_apt_cache": str(directory / "docker-apt-cache"),
        "bootstrap": {
            "use_bootstrap": False,
            "host_bootstrap_dir": str(directory / "bootstrap"),
            "host_bootstrap_cache_dir": str(directory / "bootstrap-cache"),
        },
        "package_manager": {"type": "pip", "pip_version": []},
    }
