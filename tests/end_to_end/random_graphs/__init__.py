"""Random int8 QOperator graphs: generator, inputs, comparison with ONNX Runtime, and a shrinker for failing graphs.

``generate(seed)`` draws a graph, ``generate_tokens(seed)`` one of tokens with attention, ``random_inputs(model, seed)``
their inputs, ``check`` compares it on a device, and ``shrink`` reduces a failing one. To run more graphs: ``pytest
tests/end_to_end --random-graphs 5000``, which shrinks failures, and ``python -m random_graphs --count 100000 --workers 2``
over many processes or machines.
"""

from .check import Failure, check, report
from .generator import generate
from .inputs import random_inputs
from .shrink import shrink
from .tokens import generate_tokens

__all__ = ["Failure", "check", "generate", "generate_tokens", "random_inputs", "report", "shrink"]
