"""Moments as ClearML and GitHub write them: ISO 8601, in UTC if no time zone is named."""

from datetime import datetime, timezone


def parse(text: str) -> datetime | None:
    """The moment with its time zone; None if the text is empty or no moment."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
