"""Random quantized networks in the style of many producers, from a float head to a float tail, and their check.

``python -m random_qdq --count 100000 --workers 2``, with tests/support on PYTHONPATH, prints failures by kind.
"""

from .check import Failure, check
from .generator import Case, generate

__all__ = ["Case", "Failure", "check", "generate"]
