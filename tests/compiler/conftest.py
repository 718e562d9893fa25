"""Makes the helpers of tests/support and the random graphs importable: tests are collected without packages."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "end_to_end")]
