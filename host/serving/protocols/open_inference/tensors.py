"""Tensors of the Open Inference Protocol: converts raw bytes, typed lists and JSON data to numpy and back."""

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.serving.errors import MessageError
from arrayloom.host.serving.protocols.arrays import MOST_DIMENSIONS, MOST_ELEMENTS, cut, strings

Array = NDArray[Any]

BYTES = "BYTES"
DTYPES = {"BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
          "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64"}
CONTENTS = {"BOOL": "bool_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
            "UINT64": "uint64_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
            "INT64": "int64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", BYTES: "bytes_contents"}
"""The field of ``InferTensorContents`` for each datatype's typed list; FP16 is sent as raw bytes only."""

MOST_STRINGS = 1 << 15
"""Most strings in one tensor; each becomes an object."""

_BY_DTYPE = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


def datatype(dtype: np.dtype[Any]) -> str:
    """The protocol's name of a dtype; object means strings."""
    return BYTES if dtype.kind == "O" else _BY_DTYPE[dtype]


def numpy_dtype(name: Any) -> np.dtype[Any]:
    """The dtype of the protocol's name (object for BYTES); raises ``MessageError`` for an unknown name."""
    if name == BYTES:
        return np.dtype(object)
    if not isinstance(name, str) or name not in DTYPES:
        raise MessageError(f"datatype {cut(repr(name))} is unknown; send one of {', '.join((*DTYPES, BYTES))}")
    return np.dtype(DTYPES[name])


def check_shape(shape: Any) -> tuple[int, ...]:
    """Raises ``MessageError`` if it is not a valid shape of a tensor with values."""
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS or not all(
            isinstance(extent, int) and not isinstance(extent, bool) and 0 <= extent <= MOST_ELEMENTS for extent in shape):
        raise MessageError(f"shape {cut(shape)}: must be a list of non-negative integers, {MOST_DIMENSIONS} at most")
    if math.prod(shape) > MOST_ELEMENTS:
        raise MessageError(f"shape {cut(shape)}: too large")
    return tuple(shape)


def from_raw(content: bytes, name: str, shape: list[int]) -> Array:
    """An array from raw little-endian bytes; each string is preceded by its 32-bit length."""
    dtype, extents = numpy_dtype(name), check_shape(shape)
    values = _split(content, math.prod(extents)) if dtype.kind == "O" else None
    if values is not None and len(values) > MOST_STRINGS:
        raise MessageError(f"more than {MOST_STRINGS} strings given")
    given = len(content) if values is None else len(values)
    wanted = math.prod(extents) * (dtype.itemsize if values is None else 1)
    if given != wanted:
        unit = "bytes" if values is None else "strings"
        raise MessageError(f"{given} {unit} of data given, {wanted} wanted for {name} {cut(list(extents))}")
    return np.frombuffer(content, dtype).reshape(extents) if values is None else strings(values).reshape(extents)


def to_raw(values: Array) -> bytes:
    """The raw bytes of an array, or of an object array of bytes."""
    if values.dtype != object:
        return np.ascontiguousarray(values).tobytes()
    return b"".join(struct.pack("<I", len(value)) + value for value in values.ravel())


def from_list(values: Any, name: str, shape: list[int]) -> Array:
    """An array from a typed list of values (``InferTensorContents``)."""
    dtype, extents = numpy_dtype(name), check_shape(shape)
    if len(values) != math.prod(extents):
        raise MessageError(f"{len(values)} values given, {math.prod(extents)} wanted for {name} {cut(list(extents))}")
    if dtype.kind == "O":
        return strings(list(values)).reshape(extents)
    try:
        return np.array(values, dtype).reshape(extents)
    except OverflowError:
        raise MessageError(f"data holds values outside the range of {name}") from None


def _split(content: bytes, wanted: int) -> list[bytes]:
    """The strings; stops after one more than expected."""
    values: list[bytes] = []
    position = 0
    while position < len(content) and len(values) <= min(wanted, MOST_STRINGS):
        if position + 4 > len(content):
            raise MessageError("BYTES data ends inside the length of a string")
        length = struct.unpack_from("<I", content, position)[0]
        position += 4 + length
        if position > len(content):
            raise MessageError(f"BYTES data ends inside a string of {length} bytes")
        values.append(content[position - length:position])
    return values
