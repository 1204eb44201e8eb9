"""The outcome of a run on its page and in ClearML's list of runs: a tag, the description, and the status message."""

from clearml_ci.clearml_api import task_tags
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import redaction
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions.run_labels import OUTCOMES

ENDS = ("completed", "failed", "stopped")


PROPERTIES = ("outcome", "exit_reason", "rerun", "accepted")  # user properties of a verdict


def conclude(clearml: ClearML, run: str, *, outcome: Outcome, sentence: str) -> None:
    """Tag a run with its outcome, and describe it by the verdict's sentence. Idempotent."""
    task_tags.update(clearml, [run], add=[outcome.words], remove=sorted(OUTCOMES - {outcome.words}))
    clearml.call("tasks.update", task=run, comment=redaction.outgoing(sentence))


def set_status_message(clearml: ClearML, run: str, *, status: str, sentence: str) -> None:
    """Set the status message of a run that has ended with this status, which is one of ENDS.

    Its own controller cannot: clearml-agent writes another one when the process has ended (worker.py,
    handle_task_process_termination).
    """
    message = redaction.outgoing(sentence)
    clearml.call(f"tasks.{status}", task=run, status_reason="ClearML CI: the verdict", status_message=message)
