"""Makes the benchmarks, which are not installed, importable."""

import sys

from checkout import ROOT

sys.path.append(str(ROOT))      # last on the path, so that the installed Arrayloom is imported
