"""The console of a step, which ClearML shows."""


def log(line: str) -> None:
    """Print a line immediately."""
    print(line, flush=True)  # noqa: T201  ClearML records what is printed
