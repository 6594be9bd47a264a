"""The `iron` command."""

from __future__ import annotations

import os
import signal
import sys

from iron_sdk import _iron


def main() -> int:
    """Carry out the command line.

    Returns:
        The code to exit with.
    """
    # Python would only see Ctrl-C after the command; the command handles it from the moment that it waits.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Simulators are on loopback, which no proxy leads to.
    listed = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    os.environ["NO_PROXY"] = ",".join([*([listed] if listed else []), "127.0.0.1", "::1", "localhost"])
    outcome = _iron.run_cli(sys.argv[1:])
    if isinstance(outcome, int):
        return outcome
    from iron_sdk import _demo

    return _demo.run(**outcome)


if __name__ == "__main__":
    sys.exit(main())
