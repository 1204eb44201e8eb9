"""The command that starts an agent, for messages."""

import shlex


def start(queue: str, *, number: int = 1) -> str:
    """The command that starts the agent of this number of a queue.

    A detached agent leaves a readable copy of its keys in the temporary folder, and looks there for the names that
    other agents of the machine have taken (clearml-agent 3.0.3).
    """
    name = shlex.quote(queue if number == 1 else f"{queue}-{number}")
    return (
        f"CLEARML_WORKER_ID=$(hostname):{name} TMPDIR=$(mktemp -d) clearml-agent daemon --detached "
        f"--queue {shlex.quote(queue)}"
    )
