"""The client of fork_server.py, which stands for `python`: `python -I -S fork_client.py DIRECTORY PROGRAM ...`.

It lends the program its files, variables, working directory and signals, and ends as the program does. It imports
little, because it is all that a program's start costs.
"""

import json
import os
import signal
import socket
import sys
from types import FrameType

SOCKET = "fork-server"


def main() -> int:
    directory, *arguments = sys.argv[1:]
    program = {"arguments": arguments, "environment": dict(os.environ), "directory": os.getcwd()}  # noqa: PTH109
    server = socket.socket(socket.AF_UNIX)
    os.chdir(directory)  # a socket's address is short, the path of a clone need not be
    server.connect(SOCKET)
    text = json.dumps(program).encode()
    socket.send_fds(server, [b"%d\n" % len(text), text], [0, 1, 2])

    def forward(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signature is Python's
        server.sendall(b"%d\n" % number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    return _end_alike(int(server.recv(64) or -signal.SIGKILL))


def _end_alike(code: int) -> int:
    """The exit code, or the end by the signal that ended the program."""
    if code < 0:
        if code != -signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main())
