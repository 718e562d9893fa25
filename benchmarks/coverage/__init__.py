"""What the tests execute of the hardware: lines, branches and toggles of the RTL, and what programs make it do."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))    # what tests share
