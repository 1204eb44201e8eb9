"""The noise of gates in words, below their table, and in its cells."""

import math
from collections.abc import Sequence

from clearml_ci.core.documents import GateRow, NoiseDocument
from clearml_ci.core.formatting import capitalize_first, listed
from clearml_ci.core.outcome import HOLDS
from clearml_ci.report.markdown import escape, number

_MOST_PLACES = 6


def lines(gates: Sequence[GateRow]) -> list[str]:
    """One line for each difference, caveat and note: what several gates share is one line."""
    texts: dict[str, list[str]] = {}
    for gate in gates:
        for text in _texts(gate):
            texts.setdefault(text, []).append(escape(gate["metric"]))
    single = len(gates) == 1
    return [_line(text, [] if single else metrics) for text, metrics in texts.items()]


def _texts(gate: GateRow) -> list[str]:
    noise = gate.get("noise")
    is_one_of_many = bool(gate.get("slice_of")) and gate["outcome"] in HOLDS  # its row has the interval
    found = [noise["words"] * (not is_one_of_many), noise["caveat"]] if noise else []
    note = gate.get("note", "").replace("`", "")  # of a terminal; escaped, Markdown shows them
    return [text.removesuffix(".") for text in (*found, note) if text]


def _line(text: str, metrics: Sequence[str]) -> str:
    sentence = f"{escape(capitalize_first(text))}."
    return f"**{listed(metrics, separator=', ')}** · {sentence}" if metrics else sentence


def with_margin(value: float, margin: float) -> str:
    """`0.950 ± 0.012`: the margin with two digits, and the value with as many places."""
    places = _places(margin)
    return f"{number(value)} ± {margin:.2g}" if places is None else f"{value:.{places}f} ± {margin:.{places}f}"


def difference(noise: NoiseDocument) -> str:
    """`-0.005 (-0.028 to 0.018)`."""
    places = _places(noise["high"] - noise["low"])
    numbers = (noise["difference"], noise["low"], noise["high"])
    if places is None:
        value, low, high = (f"{figure:.3g}" for figure in numbers)
    else:
        value, low, high = (f"{round(figure, places) + 0.0:.{places}f}" for figure in numbers)  # + 0.0: never -0
    return f"{value if value.startswith('-') else f'+{value}'} ({low} to {high})"


def _places(margin: float) -> int | None:
    """The places after the point of a number with such a margin; None if it is too small or too large for them."""
    if not 0 < margin < 10.0**_MOST_PLACES:
        return None
    places = max(0, 1 - math.floor(math.log10(margin)))
    return places if places <= _MOST_PLACES else None
