"""Read all records of the server that match a filter, page by page."""

import itertools
from collections.abc import Iterator
from typing import Any

from clearml_ci.clearml_api.session import ClearML

Record = dict[str, Any]  # a task, a project or a queue as the server answers it


PAGE = 100  # records of a page if most callers need only the first ones


MOST = 500  # records of a page; the server gives no more


def records(clearml: ClearML, service: str, *, page_size: int = MOST, **filters: Any) -> Iterator[Record]:
    """All `tasks`, `projects` or `queues` that match the filters, hidden ones included.

    A page is requested when its first record is: a caller that stops early pays only for what it has read. Only the
    filters bound the number of pages, so a caller names a project, a run, a commit, a tag or a status; without any, the
    workspace's projects or queues are read. The server ignores a filter that it does not know.
    """
    endpoint = f"{service}.get_all_ex" if service == "tasks" else f"{service}.get_all"
    for page in itertools.count():
        request = {"search_hidden": True, **filters, "page": page, "page_size": page_size}
        found: list[Record] = clearml.call(endpoint, **request)[service]
        yield from found
        if len(found) < page_size:
            return
