"""The verdict as one sentence: a commit status, and description and status message of the run in ClearML."""

from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.formatting import shorten_at_word
from clearml_ci.decisions import merge_queue

_LEAST = 70  # characters of the sentence that a long stamp leaves


def of(document: VerdictDocument) -> str:
    """`regressed: accuracy is 0.8, at least 0.9 (rerun by Ada with threshold_percent 3 → 5)`."""
    return _sentence(document) + _stamp(document)


def fitted(document: VerdictDocument, limit: int) -> str:
    """As `of`, in at most `limit` characters: sentence and stamp are each cut after a word, and both are there."""
    sentence = _sentence(document)
    stamp = _stamp(document, longest=limit - min(len(sentence), _LEAST))
    return shorten_at_word(sentence, limit - len(stamp)) + stamp


def _sentence(document: VerdictDocument) -> str:
    group = document.get("merge_group")  # that of an older version's run has none
    made_of = f" for {merge_queue.named(group)}" if group else ""
    return f"{document['outcome'].words}{made_of}: {document['exit_reason']}"


def _stamp(document: VerdictDocument, *, longest: int = 1_000) -> str:
    rerun = document["rerun"]
    return f" ({shorten_at_word(rerun['said'], longest - 3)})" if rerun else ""
