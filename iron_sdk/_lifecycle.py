"""The end of the process: calls are refused and the runtime's threads stopped before Python goes away."""

from __future__ import annotations

import atexit
import threading
import time

from iron_sdk import _logging
from iron_sdk._iron import shutdown

# Calls in flight are dropped at once; what may take longer is a look-up of a host name.
_TIMEOUT_MS = 2_000
# What a loop in a daemon thread needs to be told that calls are refused, and to come to rest.
_REST_SECONDS = 0.02


def _let_daemons_rest() -> None:
    """Let loops in daemon threads finish their turn: to be made to go in its midst aborts the process."""
    if threading.active_count() > 1:
        time.sleep(_REST_SECONDS)


def stop_at_exit() -> None:
    """Stop the runtime when the interpreter exits, and then what hands over its log."""
    # Hooks run in reverse.
    atexit.register(_let_daemons_rest)
    atexit.register(_logging.stop)
    atexit.register(shutdown, _TIMEOUT_MS)
