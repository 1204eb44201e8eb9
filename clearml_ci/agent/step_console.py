"""The console of a step's task, which a thread fills: a server that takes no console holds nothing else."""

import os
import threading
from dataclasses import dataclass, field
from typing import IO

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api import task_console
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import console
from clearml_ci.core.poll import Clock

_PAUSE = 1.0  # seconds between two parts


@dataclass
class StepConsole:
    """The output of a step's process, which is sent in whole lines, so that a secret in it is found and masked."""

    output: IO[bytes]
    sent: int = 0  # bytes
    over: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def follow(self, task: str, *, clock: Clock) -> None:
        """Send what the process prints to the console of this task until `end`."""
        self.thread = threading.Thread(target=self._follow, args=(task, clock), name=f"console {task}", daemon=True)
        self.thread.start()

    def end(self, *, within: float) -> None:
        """Send the rest: the process has ended. Return after so many seconds at the latest."""
        self.over.set()
        if self.thread:
            self.thread.join(within)

    def _follow(self, task: str, clock: Clock) -> None:
        clearml = clearml_session.connect(clock)  # of its own: other threads use others at the same time
        while not self.over.wait(_PAUSE):
            new = self._new()
            self._send(clearml, task, new[: new.rfind(b"\n") + 1])
        if error := self._send(clearml, task, self._new()):
            console.log(f"the console of the task {task} lacks its end: {error}")

    def _new(self) -> bytes:
        return os.pread(self.output.fileno(), os.fstat(self.output.fileno()).st_size - self.sent, self.sent)

    def _send(self, clearml: ClearML, task: str, new: bytes) -> str:
        """The error if they could not be sent: the next part has them, too."""
        try:
            task_console.add(clearml, task, new.decode(errors="replace"))
        except ClearMLError as error:
            return str(error)
        self.sent += len(new)
        return ""
