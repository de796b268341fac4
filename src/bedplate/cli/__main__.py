"""`python -m bedplate.cli` is the command `bedplate`, for a checkout that is not installed."""

from __future__ import annotations

import signal
import sys

from bedplate.cli.main import main

TERMINATED = 128 + signal.SIGTERM


def _end(number: int, frame: object) -> None:
    del number, frame
    sys.exit(TERMINATED)


# As an exception, so that what is under way ends its programs and takes its unfinished files with it.
signal.signal(signal.SIGTERM, _end)
sys.exit(main())
