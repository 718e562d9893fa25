"""Makes the helpers of tests/support importable: tests are collected without packages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
