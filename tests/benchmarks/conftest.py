"""Makes the package of the benchmarks importable, which is not installed."""

import sys

from checkout import ROOT

sys.path.append(str(ROOT))      # the last one, so that Arrayloom is the installed one
