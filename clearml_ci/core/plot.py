"""A plot on the page of a ClearML task, as plotly draws it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plot:
    """One plot: `title` orders the plots of a page, `title` and `series` name it, `figure` is plotly's JSON."""

    title: str
    series: str
    figure: Mapping[str, Any]
