"""Random quantized networks as many producers write them, from a float head to a float tail, and their check.

    python -m random_qdq --count 100000 --workers 2      in tests/support (PYTHONPATH), prints failures by kind
"""

from .check import Failure, check
from .generator import Case, generate

__all__ = ["Case", "Failure", "check", "generate"]
