"""Random programs on the RTL with random memory timing and one disturbance each, followed by a good run.

``python -m random_faults --count 10000 --workers 2``, with tests/support and tests/sim/cocotb/benches on PYTHONPATH.
"""

from .check import Failure, check, disturb, name_of
from .disturbances import DISTURBANCES

__all__ = ["DISTURBANCES", "Failure", "check", "disturb", "name_of"]
