"""Keys of parameters in the server's database, which are visible only after a run is cloned with changes.

The database takes no dots, dollars and leading underscores in keys, so they are escaped with `%`. If
`pipelines.start_pipeline` changes a parameter, it escapes the keys of all that it copies once more, and a name that
was escaped twice too often is read with its escapes (clone_task in apiserver/bll/task/task_bll.py, servers 2.0 to 2.3).
"""

from __future__ import annotations

from .store import Record, Store

_CODES = {".": "%2E", "$": "%24", "__": "%_%_"}


def escaped(name: str) -> str:
    key = name.replace("%", "%%")
    for text, code in _CODES.items():
        key = key.replace(text, code)
    return f"%{key}" if key.startswith("_") else key


def unescaped(key: str) -> str:
    parts = key.split("%%")
    for text, code in _CODES.items():
        parts = [part.replace(code, text) for part in parts]
    name = "%".join(parts)
    return name[1:] if name.startswith("%_") else name


def cloned_with(store: Store, source: str, clone: str, given: Record, changes: Record) -> Record:
    """The parameters of a section after such a clone, as the API shows them."""
    known = store.parameter_keys.get(source, {})
    copied = {known.get(name, escaped(name)): item for name, item in given.items()}
    keys = {escaped(key): item for key, item in {**copied, **changes}.items()}
    store.parameter_keys[clone] = {unescaped(key): key for key in keys}
    return {unescaped(key): item for key, item in keys.items()}


def written(store: Store, task: str, names: list[str]) -> None:
    """Forget the keys of parameters that were written anew: they have the plain key."""
    for name in names:
        store.parameter_keys.get(task, {}).pop(name, None)
