"""Starting and ending other programs so that nothing of the user's leaks in and nothing of ours stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

# An allow-list: a developer's CLEARML_*, GITHUB_*, GIT_* and cloud variables must not reach the sandbox.
KEPT_VARIABLES = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TERM",
    "LD_LIBRARY_PATH",
    "SYSTEMROOT",
    "UV_LINK_MODE",
)
KEPT_PREFIXES = ("PIP_", "UV_INDEX", "UV_DEFAULT_INDEX")
KEPT_NETWORK_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "CLEARML_API_HOST_VERIFY_CERT",
)
GIT_CONFIG = """[user]
    name = A Developer
    email = developer@example.com
[init]
    defaultBranch = main
[advice]
    detachedHead = false
[safe]
    directory = *
"""


@dataclass(frozen=True)
class Process:
    """A process by number and birth: a number alone may belong to another process by now."""

    pid: int
    born: float

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process if alive and process.create_time() == self.born else None
        except psutil.Error:
            return None


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for a program of the sandbox, whose home and temporary files lie below `home`."""
    home.mkdir(parents=True, exist_ok=True)
    temporary = home / "tmp"
    temporary.mkdir(exist_ok=True)
    (home / ".gitconfig").write_text(GIT_CONFIG)
    kept = {name: value for name, value in os.environ.items() if _is_kept(name)}
    own = {
        # The virtual environment's programs first: agents look for `python3.x` and virtualenv by name.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONUNBUFFERED": "1",
    }
    return {**kept, **_without_proxy(), **_pip_of_the_user(), **own, **(extra or {})}


def reach_loopback_directly() -> None:
    """A proxy of the user's is no way to our own servers."""
    os.environ.update(_without_proxy())


def _without_proxy() -> dict[str, str]:
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = dict.fromkeys([*filter(None, given.split(",")), "127.0.0.1", "localhost"])
    return {"NO_PROXY": ",".join(hosts), "no_proxy": ",".join(hosts)}


def _is_kept(name: str) -> bool:
    plain = name.upper()
    return plain in KEPT_VARIABLES + KEPT_NETWORK_VARIABLES or plain.startswith(KEPT_PREFIXES)


def _pip_of_the_user() -> dict[str, str]:
    """Another home would hide pip's cache and configuration (such as a company's index), which agents need.

    Python compiles what a program imports: of all that pip installs, this is a small part.
    """
    variables = {"PIP_CACHE_DIR": str(_pip_cache()), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_COMPILE": "1"}
    candidates = (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf")
    configuration = next((str(path) for path in candidates if path.exists()), None)
    if configuration:
        variables["PIP_CONFIG_FILE"] = configuration
    return {name: os.environ.get(name, value) for name, value in variables.items()}


def _pip_cache() -> Path:
    mac = Path.home() / "Library/Caches"
    fallback = mac if mac.exists() else Path.home() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME", fallback)) / "pip"


def start(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, umask: int = -1
) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own, so that Ctrl-C in our terminal is ours to handle."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=umask,
        )


def end_trees(roots: Iterable[Process], *, patience: float = 5.0) -> None:
    """Ends processes with all their descendants and groups: TERM, and KILL after `patience` seconds."""
    families = [(root, _family(root)) for root in roots]
    everyone = [process for _, family in families for process in family]
    for root, family in families:
        if family:
            _signal_group(root.pid, signal.SIGTERM)
    survivors = _wait_gone(everyone, patience)
    for root, family in families:
        if family:
            _signal_group(root.pid, signal.SIGKILL)
    for process in survivors:
        _kill(process)
    _wait_gone(survivors, 2.0)


def _family(root: Process) -> list[psutil.Process]:
    parent = root.find()
    if parent is None:
        return _group_members(root)
    try:
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return [parent]


def _group_members(root: Process) -> list[psutil.Process]:
    """Return the processes of a group whose leader is dead: no other group gets its number while a member lives."""
    return [process for process in psutil.process_iter() if _is_in_group(process, root)]


def _is_in_group(process: psutil.Process, root: Process) -> bool:
    try:
        return os.getpgid(process.pid) == root.pid and process.create_time() >= root.born
    except (OSError, psutil.Error):
        return False


def _signal_group(leader: int, number: signal.Signals) -> None:
    # Only a group that its leader made (start_new_session) may be signalled; our own never.
    if leader in (0, 1, os.getpgrp()):
        return
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        return


def _wait_gone(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    remaining = list(processes)
    while remaining and time.monotonic() < deadline:
        time.sleep(0.05)
        remaining = [process for process in remaining if _is_alive(process)]
    return remaining


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
