"""Arrays of every dtype that a protocol can carry."""

import numpy as np

NUMBERS = [np.dtype(name) for name in ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16",
                                       "uint32", "uint64", "bool")]


def values(dtype: np.dtype) -> np.ndarray:
    """An array [2, 3, 4] of values over the whole range of an integer dtype."""
    rng = np.random.default_rng(3)
    if dtype.kind == "f":
        return rng.standard_normal((2, 3, 4)).astype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, (2, 3, 4)).astype(bool)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (2, 3, 4), dtype, endpoint=True)
