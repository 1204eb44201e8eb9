"""The console of a step and the log of a job."""


def log(line: str) -> None:
    """Print a line immediately."""
    print(line, flush=True)  # noqa: T201  read on the console of a task, or in the log of a job
