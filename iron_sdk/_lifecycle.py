"""The end of the process: calls are refused and the runtime's threads stopped before Python goes away."""

from __future__ import annotations

import atexit

from iron_sdk import _logging
from iron_sdk._iron import shutdown

# Calls in flight are dropped at once; what may take longer is a look-up of a host name.
_TIMEOUT_MS = 2_000


def stop_at_exit() -> None:
    """Stop the runtime when the interpreter exits, and then what hands over its log."""
    # Hooks run in reverse.
    atexit.register(_logging.stop)
    atexit.register(shutdown, _TIMEOUT_MS)
