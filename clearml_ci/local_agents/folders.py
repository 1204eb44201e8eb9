"""The folders of the agents, closed to other users, and the locks in them that show whose process lives.

A lock is held by an open file, which the operating system closes when its process ends, however it ends.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from clearml_ci.core.errors import UsageError
from clearml_ci.local_agents.plan import Agent, Plan

_LOCK = "lock"
_PRIVATE = 0o700
_PASSABLE = 0o711  # another user reaches its own folder below, and lists nothing

# Files of a user's home that clones and installations need, as links: nothing is copied.
_GIT = (".gitconfig", ".git-credentials", ".netrc", ".config/git")
_PACKAGES = (".pip", ".config/pip", ".config/uv", ".docker/config.json")


def make(plan: Plan) -> None:
    """Make the folder of all agents. Raises UsageError if it cannot be written."""
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        plan.folder.chmod(_PASSABLE if plan.account else _PRIVATE)
        probe = plan.folder / "writable"
        probe.write_text("it is")
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"the folder {plan.folder} cannot be written ({error.strerror}): give its user the right to, or name "
            "another one with --folder"
        ) from error


def make_for(agent: Agent) -> None:
    """Make an agent's folders, which no other user can enter.

    Its temporary folder is emptied. A clone that was interrupted is removed: clearml-agent 3.0.3 goes on to use it, and
    each task of that repository fails at git's `index.lock`.
    """
    agent.directory.mkdir(exist_ok=True)
    agent.directory.chmod(_PASSABLE if agent.account else _PRIVATE)
    agent.files.mkdir(exist_ok=True, mode=_PRIVATE)
    if agent.account:
        os.chown(agent.files, agent.account.uid, agent.account.gid, follow_symlinks=False)
    as_user(agent, lambda: _make_home(agent))


def _make_home(agent: Agent) -> None:
    shutil.rmtree(agent.temporary, ignore_errors=True)
    for lock in agent.clones.glob("*/*/.git/index.lock"):
        clone = lock.parents[1]
        # Code in a container can write here, and could put links to other folders of the agent's user here.
        if clone.resolve() == agent.clones.resolve() / clone.parent.name / clone.name:
            shutil.rmtree(clone, ignore_errors=True)
    for folder in (agent.files, agent.home, agent.temporary):
        folder.mkdir(exist_ok=True)
        folder.chmod(_PRIVATE)
    home = agent.account.home if agent.account else Path.home()
    for name in (*_PACKAGES, *(_GIT if agent.role.is_trusted or agent.account else ())):
        _link(agent.home / name, home / name)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    if target.exists() and not link.exists():
        link.symlink_to(target)


def as_user(agent: Agent, act: Callable[[], None]) -> None:
    """Act as the agent's user. Its code may have put links into its folders, which root must not follow.

    Raises UsageError if another user cannot do it.
    """
    if agent.account is None:
        act()
        return
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(agent.account.gid)
            os.setuid(agent.account.uid)
            act()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        raise UsageError(
            f"the user '{agent.account.name}' cannot write {agent.files}: name a --folder that it may enter, such as "
            "/var/lib/clearml-ci"
        )


def give(agent: Agent) -> None:
    """Let the agent's user, and no other, read its configuration."""
    if agent.account:
        os.chown(agent.configuration, agent.account.uid, agent.account.gid, follow_symlinks=False)


def remove_secrets(agent: Agent) -> None:
    """Remove the agent's configuration and what it left in its temporary folder; its clones and packages stay."""
    agent.configuration.unlink(missing_ok=True)
    if agent.files.exists():
        with contextlib.suppress(UsageError):
            as_user(agent, lambda: shutil.rmtree(agent.temporary, ignore_errors=True))


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[IO[str] | None]:
    """Hold the lock of a folder as long as the block runs; None if another process holds it."""
    file = (folder / _LOCK).open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        yield None
        return
    try:
        yield file
    finally:
        file.close()


def is_locked(folder: Path) -> bool:
    """True if a process holds the lock of this folder."""
    if not (folder / _LOCK).exists():
        return False
    with locked(folder) as lock:
        return lock is None
