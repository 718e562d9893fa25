"""Paths that tests read from: the checkout, and the networks and photographs next to it."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder with ``pyproject.toml``."""

SHARED = Path(os.environ.get("ARRAYLOOM_DATA", ROOT.parent / "shared" / "data"))
"""Networks and photographs; may be absent."""
