def say(line: str) -> None:
    """A line of the step's console, at once."""
    print(line, flush=True)  # noqa: T201  the console is where a person looks
