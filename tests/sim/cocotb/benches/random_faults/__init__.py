"""Random programs on the RTL under random memory timing, with one disturbance each, and a good run after it.

    python -m random_faults --count 10000 --workers 2      with tests/support and tests/sim/cocotb/benches on PYTHONPATH
"""

from .check import Failure, check, disturb, name_of
from .disturbances import DISTURBANCES

__all__ = ["DISTURBANCES", "Failure", "check", "disturb", "name_of"]
