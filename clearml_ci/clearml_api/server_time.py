"""Times as the server answers them."""

import time
from datetime import datetime, timezone


def age(moment: str, *, now: float | None = None) -> float:
    """The seconds since a time of the server, in ISO 8601; UTC if it names no time zone. `now` is this machine's."""
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    then = then if then.tzinfo else then.replace(tzinfo=timezone.utc)
    return max(0.0, (time.time() if now is None else now) - then.timestamp())
