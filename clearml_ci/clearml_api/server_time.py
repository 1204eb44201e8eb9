"""Times as the server answers them."""

import time

from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import moment


def age(clearml: ClearML, text: str) -> float:
    """The seconds since a time of the server, by the server's own clock; 0 for a text that is no time."""
    then = moment.parse(text)
    return max(0.0, time.time() + clearml.ahead - then.timestamp()) if then else 0.0
