"""`python -m bedplate.cli` is the command `bedplate`, for a checkout that is not installed."""

from __future__ import annotations

import sys

from bedplate.cli.main import main

sys.exit(main())
