"""Arrays in the forms that protocols share: strings, and nested JSON lists with ``{"b64": ...}`` for bytes."""

import base64
import binascii
import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.serving.errors import Kind, MessageError, ServiceError

Array = NDArray[Any]

MOST_ELEMENTS, MOST_DIMENSIONS = 1 << 40, 32
"""Limit on the elements of any tensor and on each of its extents, also for empty tensors."""

AS_BYTES = "bytes are written as {\"b64\": \"...\"}, one object for each image"


def shown(shape: Iterable[int]) -> str:
    """A shape as text, shortened if it is long."""
    return cut(str(list(shape)))


def cut(text: object) -> str:
    """A client's value as text, shortened for a message."""
    return str(text)[:100]


@contextlib.contextmanager
def of_input(name: str) -> Iterator[None]:
    """Converts a ``MessageError`` raised inside into a ``ServiceError`` that names the input."""
    try:
        yield
    except MessageError as error:
        raise ServiceError(Kind.INVALID, f"input {name[:100]!r}: {error}") from None


def strings(values: list[bytes]) -> Array:
    """An object array [N] of bytes."""
    result = np.empty(len(values), object)
    result[:] = values
    return result


def from_json(value: Any, dtype: np.dtype[Any]) -> Array:
    """Converts nested lists to an array: numbers as ``dtype``, ``{"b64": ...}`` objects as an object array of bytes.

    Raises ``MessageError`` for ragged lists, mixed kinds, and numbers outside the range of ``dtype``.
    """
    leaf, shape = value, []
    while isinstance(leaf, list) and leaf:
        shape.append(len(leaf))
        leaf = leaf[0]
    if len(shape) > MOST_DIMENSIONS:
        raise MessageError(f"lists nested {len(shape)} deep are not a tensor; at most {MOST_DIMENSIONS} dimensions")
    if isinstance(leaf, dict):
        return strings([_decode(each) for each in _leaves(value, len(shape))]).reshape(shape)
    return _numbers(value, dtype)


def _numbers(value: Any, dtype: np.dtype[Any]) -> Array:
    try:
        values = np.asarray(value)
    except (ValueError, OverflowError):
        raise MessageError("lists of different lengths, or of different depths, are not a tensor") from None
    if dtype.kind == "O" and values.size:
        raise MessageError(AS_BYTES)
    if values.dtype.kind not in ("iu" if dtype.kind in "iu" else "iuf") and values.size:
        raise MessageError(f"numbers wanted for {dtype}, {_kind(values)} given; bytes are written as {{\"b64\": ...}}")
    if dtype.kind in "iu" and values.size and not np.iinfo(dtype).min <= values.min() <= values.max() <= np.iinfo(dtype).max:
        raise MessageError(f"numbers from {np.iinfo(dtype).min} to {np.iinfo(dtype).max} wanted")
    with np.errstate(over="ignore"):
        return values.astype(dtype)


def _kind(values: Array) -> str:
    return {"U": "strings", "O": "mixed values", "b": "booleans", "f": "fractions"}.get(values.dtype.kind, "other values")


def _leaves(value: Any, depth: int) -> list[Any]:
    leaves = [value]
    for _ in range(depth):
        if not all(isinstance(each, list) and len(each) == len(leaves[0]) for each in leaves):
            raise MessageError("lists of different lengths, or of different depths, are not a tensor")
        leaves = [inner for each in leaves for inner in each]
    return leaves


def _decode(value: Any) -> bytes:
    if not isinstance(value, dict) or set(value) != {"b64"} or not isinstance(value["b64"], str):
        raise MessageError(AS_BYTES)
    text = "".join(value["b64"].split()).rstrip("=")      # line breaks and missing padding are common
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MessageError(f"\"b64\": not base64: {cut(error)}") from None
