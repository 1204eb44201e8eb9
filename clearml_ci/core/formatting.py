def count(number: int, noun: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `5 h` or `9 days`."""
    for size, unit in ((86_400, " days"), (3_600, " h"), (60, " min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f} s"


def capital(text: str) -> str:
    """A sentence's beginning; the rest stays as it is."""
    return f"{text[:1].upper()}{text[1:]}"
