"""A cache of emulator results, since the same programs run on many builds of the hardware."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.program import Program

Result = TypeVar("Result")
MOST = 800      # entries in the cache
_results: OrderedDict[bytes, Any] = OrderedDict()


def remembered(kind: str, program: Program, arrays: list[NDArray[Any]], make: Callable[[], Result]) -> Result:
    """The result of ``make`` for this program and these arrays, cached; the caller must not modify it."""
    state = hashlib.blake2b(f"{kind} {program.configuration.digest} {program.code_address} {program.memory_bytes} "
                            f"{program.write_base}".encode())
    for array in (program.instructions, *arrays):
        state.update(np.ascontiguousarray(array).view(np.uint8).data)
    key = state.digest()
    if key not in _results:
        _results[key] = make()
        if len(_results) > MOST:
            _results.popitem(last=False)
    return _results[key]
