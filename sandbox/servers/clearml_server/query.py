"""The filters, order, pages and field selection that all `get_all` endpoints share.

Unknown fields are ignored in silence, as on the real server: a filter on `script.version_num` returns everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from . import errors
from .store import Record, Store, new_id

MAX_PAGE = 500
_MISSING = object()
_MULTI_FIELD = {"_any_": any, "_or_": any, "_all_": all, "_and_": all}
_ALL, _ANY = "all", "any"
_OPERATORS = {"__$all": _ALL, "__$and": _ALL, "__$any": _ANY, "__$or": _ANY}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
    "": lambda a, b: a == b,
}
Test = Callable[[Record], bool]


@dataclass(frozen=True)
class Fields:
    """The request fields that filter, by their kind. A trailing `*` stands for any field below."""

    patterns: tuple[str, ...] = ("name",)
    lists: tuple[str, ...] = ("id", "tags", "system_tags")
    ranges: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    equals: tuple[str, ...] = ()


@dataclass
class _ListTerms:
    include_all: list[str] = field(default_factory=list)
    include_any: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    or_empty: bool = False
    combine: str = _ALL


def value_at(record: Record, path: str) -> Any:
    """Return the value below a dotted path, or None."""
    found = _descend(record, path.split("."))
    return None if found is _MISSING else found


def _descend(value: Any, parts: list[str]) -> Any:
    for part in parts:
        if not isinstance(value, dict) or part not in value:
            return _MISSING
        value = value[part]
    return value


def select(records: Iterable[Record], request: Record, fields: Fields) -> list[Record]:
    """The matching records, ordered and cut to the requested page."""
    start, size = _page(request)
    return _matching(records, request, fields)[start : start + size]


def _matching(records: Iterable[Record], request: Record, fields: Fields) -> list[Record]:
    tests = list(_tests(request, fields))
    found = [record for record in records if all(test(record) for test in tests)]
    return _ordered(found, request)


def scrolled(store: Store, records: Iterable[Record], request: Record, fields: Fields) -> tuple[list[Record], Record]:
    """The matching records and what a scroll adds to the answer: a `scroll_id`, with which the next request goes on.

    `refresh_scroll` reads once more what was read already (get_data_with_scroll_support in database/model/base.py).
    """
    if "scroll_id" not in request:
        return select(records, request, fields), {}
    scroll = request["scroll_id"] or new_id()
    position, size = store.scrolls.get(scroll, 0), request.get("size") or MAX_PAGE
    start, end = (0, max(position, size)) if request.get("refresh_scroll") else (position, position + size)
    found = _matching(records, request, fields)[start:end]
    store.scrolls[scroll] = start + len(found)
    return found, {"scroll_id": scroll}


def project_fields(record: Record, only_fields: Iterable[str] | None) -> Record:
    """Only the named (dotted) fields; everything when none is named. No name, no id."""
    if not only_fields:
        return record
    result: Record = {}
    for path in only_fields:
        _copy_path(record, result, path.split("."))
    return result


def _copy_path(source: Record, target: Record, parts: list[str]) -> None:
    head, *rest = parts
    if head not in source:
        return
    value = source[head]
    if not rest:
        target[head] = value
    elif isinstance(value, dict):
        below = target.setdefault(head, {})
        if below is not value:
            _copy_path(value, below, rest)
    elif isinstance(value, list):
        below = target.setdefault(head, [{} for _ in value])
        for item, copy in zip(value, below, strict=True) if below is not value else ():
            _copy_path(item, copy, rest)


def _page(request: Record) -> tuple[int, int]:
    page, size = request.get("page") or 0, request.get("page_size")
    if page < 0:
        raise errors.invalid("page must be >=0", field="page")
    if size is not None and size < 1:
        raise errors.invalid("page_size must be >0", field="page_size")
    size = min(size or MAX_PAGE, MAX_PAGE)
    return page * size, size


def _ordered(records: list[Record], request: Record) -> list[Record]:
    order_by = request.get("order_by") or []
    keys = [order_by] if isinstance(order_by, str) else list(order_by)
    if keys or request.get("id"):  # found by their ids, MongoDB returns them in the order of its index
        keys.append("id")
    for key in reversed(keys):
        path = key.lstrip("-")
        records = sorted(records, key=lambda record: _sortable(value_at(record, path)), reverse=key[0] == "-")
    return records


def _sortable(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    return (1, value) if isinstance(value, (int, float)) else (2, str(value))


def _tests(request: Record, fields: Fields) -> Iterator[Test]:
    for name, condition in request.items():
        if condition is None:
            continue
        if name == "filters":
            yield from _filter_tests(condition, fields)
        elif name in _MULTI_FIELD:
            yield _multi_field_test(name, condition)
        elif name in fields.patterns and condition:
            yield _pattern_test(name, errors.compiled(str(condition)))
        elif _named(name, fields.lists):
            yield _list_test(name, condition if isinstance(condition, list) else [condition])
        elif _named(name, fields.ranges):
            yield _range_test(name, condition)
        elif name in fields.dates:
            yield _date_test(name, condition if isinstance(condition, list) else [condition])
        elif _named(name, fields.equals):
            yield _equals_test(name, condition)


def _named(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name == p or (p.endswith("*") and name.startswith(p[:-1])) for p in patterns)


def _pattern_test(path: str, pattern: re.Pattern[str]) -> Test:
    parts = path.split(".")

    def test(record: Record) -> bool:
        value = _descend(record, parts)
        values = value if isinstance(value, list) else [value]
        return any(isinstance(item, str) and pattern.search(item) is not None for item in values)

    return test


def _multi_field_test(name: str, condition: Any) -> Test:
    if not isinstance(condition, dict) or "fields" not in condition:
        raise errors.bad_request(16, "Invalid value for fields", "failed parsing query field", field=name)
    if condition.get("pattern") is None:
        tests = [_date_test(path, _as_list(condition.get("datetime"))) for path in condition["fields"]]
    else:
        pattern = errors.compiled(condition["pattern"], re.IGNORECASE)
        tests = [_pattern_test(path, pattern) for path in condition["fields"]]
    combine = _MULTI_FIELD[name]
    return (lambda record: combine(test(record) for test in tests)) if tests else (lambda _: True)


def _equals_test(path: str, value: Any) -> Test:
    return lambda record: bool(value_at(record, path) == value)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _list_test(path: str, condition: list[Any]) -> Test:
    """`["a","b"]` any, `["__$all",…]` all, `"-x"` or `"__$not","x"` none of; None matches empty."""
    terms = _list_terms(path, condition)
    checks: list[Callable[[set[Any]], bool]] = []
    if terms.include_all:
        checks.append(lambda has: has.issuperset(terms.include_all))
    if terms.include_any:
        checks.append(lambda has: not has.isdisjoint(terms.include_any))
    if terms.exclude:
        checks.append(lambda has: has.isdisjoint(terms.exclude))
    combine = all if terms.combine == _ALL else any

    def test(record: Record) -> bool:
        value = value_at(record, path)
        has = set(value) if isinstance(value, list) else set() if value is None else {value}
        return (terms.or_empty and not has) or not checks or combine(check(has) for check in checks)

    return test


def _filter_tests(filters: Record, fields: Fields) -> Iterator[Test]:
    """`{"tags": {"any": {"include": [...], "exclude": [...]}}}`: the filters of the web UI's columns."""
    for path in [path for path in filters if _named(path, fields.lists)]:
        for context in [name for name in (_ANY, _ALL) if filters[path].get(name)]:
            chosen = filters[path][context]
            yield _list_test(path, [f"__${context}", *(chosen.get("include") or [])])
            yield _list_test(path, [term for value in chosen.get("exclude") or [] for term in ("__$not", value)])


def _list_terms(path: str, condition: list[Any]) -> _ListTerms:
    terms, context, combine, dash, negate = _ListTerms(), _ANY, "", True, False
    for value in condition:
        if value is None:
            terms.or_empty = True
        elif value == "__$nop":
            context, dash = _ANY, True
        elif value == "__$not":
            negate = True
        elif value in _OPERATORS:
            context, combine, dash = _OPERATORS[value], combine or _OPERATORS[value], False
        elif isinstance(value, str) and value.startswith("__$"):
            raise errors.bad_request(16, "Invalid value for fields", "Unsupported operator", field=path, operator=value)
        else:
            combine = combine or _ALL
            _add_term(terms, value, context=context, negate=negate, dash=dash)
            negate = False
    terms.combine = combine or _ALL
    return terms


def _add_term(terms: _ListTerms, value: Any, *, context: str, negate: bool, dash: bool) -> None:
    if not negate and dash and isinstance(value, str) and value.startswith("-"):
        terms.exclude.append(value[1:])
    elif negate:
        terms.exclude.append(value)
    else:
        (terms.include_all if context == _ALL else terms.include_any).append(value)


def _range_test(path: str, condition: Any) -> Test:
    if not isinstance(condition, list) or len(condition) != 2:
        raise errors.invalid(f"Min and max values should be specified for range field {path}")
    low, high = condition

    def test(record: Record) -> bool:
        value = value_at(record, path)
        if value is None:
            return low is None
        value, least, most = (_comparable(item) for item in (value, low, high))
        return (least is None or value >= least) and (most is None or value <= most)

    return test


def _date_test(path: str, condition: list[Any]) -> Test:
    comparisons = [re.fullmatch(r"(>=|>|<=|<|)(.+)", str(text)) for text in condition if text is not None]
    parsed = [(_COMPARISONS[found[1]], _comparable(found[2])) for found in comparisons if found]

    def test(record: Record) -> bool:
        value = _comparable(value_at(record, path))
        return value is not None and all(compare(value, limit) for compare, limit in parsed)

    return test


def _comparable(value: Any) -> Any:
    """Parse a time (in UTC if no zone is named); return anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    except ValueError:
        return value
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
