"""Building blocks of a JSON schema (draft 2020-12), for the keys of a policy file.

`errorMessage` ends the messages about a value that does not fit; editors that know the keyword show it as well.
Patterns mean the same in Python and in JavaScript.
"""

import re
from typing import Any

Schema = dict[str, Any]


_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"  # also line breaks, and halves of a character


_ONE_LINE = rf"(?![\s\S]*{_CONTROL})"  # also keeps Python's `$` from matching before a last line break


_INVISIBLE = r"[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"  # no width, or another direction


VISIBLE = rf"(?!.*{_INVISIBLE})"


INSIDE = r"(?!/)(?!(.*/)?\.\.(/|$))(?!-)"  # a path that stays in the repository


PROJECT = r"(?!.*//)(?!.*/$)(?!(.*/)?\.{1,2}(/|$))(?=[^/].{2})"


A_TEXT = "a text in one line; a number or true goes into quotes"


A_PATH = "a path inside the repository, such as "


def text(allowed: str, *, form: str = "", empty: bool = False, **more: Any) -> Schema:
    """One line without spaces at its ends; `form` is a further pattern, as lookaheads."""
    pattern = rf"^{_ONE_LINE}({form}\S(.*\S)?){'?' if empty else ''}$"
    return {"type": "string", "pattern": pattern, "errorMessage": allowed, **more}


def choice(*names: str) -> Schema:
    """One of these texts."""
    return {"enum": list(names), "errorMessage": ", ".join(names)}


SWITCH: Schema = {"type": "boolean", "errorMessage": "true, false"}


SECONDS: Schema = {"type": "number", "exclusiveMinimum": 0, "errorMessage": "a number of seconds above 0"}


HOURS: Schema = {"type": "number", "exclusiveMinimum": 0, "errorMessage": "a number of hours above 0"}


DIGIT: Schema = {"type": "integer", "minimum": 0, "maximum": 9, "errorMessage": "a whole number from 0 to 9"}


REPEATS: Schema = {"type": "integer", "minimum": 0, "maximum": 4, "errorMessage": "0, 1, 2, 3, 4"}


NUMBER: Schema = {"type": "number", "errorMessage": "a finite number"}


def list_of(item: Schema) -> Schema:
    """A list of such values."""
    return {"type": "array", "items": item, "errorMessage": f"a list, each {item['errorMessage']}"}


def mapping(properties: Schema, *, required: tuple[str, ...] = (), **more: Any) -> Schema:
    """A mapping with these keys and no others."""
    return {
        "type": "object",
        "errorMessage": f"a mapping of {', '.join(properties)}",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def described(schema: Schema, description: str, **more: Any) -> Schema:
    """The same, with a description, and more keywords such as `default`."""
    return {"description": description, **schema, **more}


def fits(value: str, schema: Schema) -> bool:
    """True if a text is one that this schema of a text allows."""
    return re.match(schema["pattern"], value) is not None and len(value) <= schema.get("maxLength", len(value))
