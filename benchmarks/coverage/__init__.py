"""Coverage of the hardware by tests: lines, branches and toggles of the RTL, and functional goals of programs."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))    # what tests share
