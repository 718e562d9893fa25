"""Converts TensorFlow's ``TensorProto`` to numpy and back.

Values are either raw little-endian bytes in ``tensor_content`` or in the typed list of the dtype, whose last
value is repeated for missing ones, as in TensorFlow's own ``make_ndarray``.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.serving.core.reading import Limits
from arrayloom.host.serving.errors import MessageError
from arrayloom.host.serving.protocols.arrays import MOST_DIMENSIONS, MOST_ELEMENTS, shown, strings
from arrayloom.host.serving.protocols.tensorflow.messages import tfs
from arrayloom.host.serving.protocols.wire import write_varint

Array = NDArray[Any]

_LISTS = {"DT_FLOAT": ("float32", "float_val"), "DT_DOUBLE": ("float64", "double_val"), "DT_INT32": ("int32", "int_val"),
          "DT_UINT8": ("uint8", "int_val"), "DT_INT16": ("int16", "int_val"), "DT_INT8": ("int8", "int_val"),
          "DT_INT64": ("int64", "int64_val"), "DT_BOOL": ("bool", "bool_val"), "DT_UINT16": ("uint16", "int_val"),
          "DT_UINT32": ("uint32", "uint32_val"), "DT_UINT64": ("uint64", "uint64_val"), "DT_HALF": ("float16", "half_val")}
_BY_NUMBER = {number: name for name, number in tfs.DataType.items()}
_BY_DTYPE = {np.dtype(dtype): name for name, (dtype, _) in _LISTS.items()}
_FLOAT_VAL = bytes([tfs.TensorProto.DESCRIPTOR.fields_by_name["float_val"].number << 3 | 2])    # a packed list


def data_type(dtype: np.dtype[Any]) -> int:
    """The number of a dtype; object means strings."""
    return tfs.DataType["DT_STRING" if dtype.kind == "O" else _BY_DTYPE[dtype]]


def to_array(tensor: Any, limits: Limits | None = None) -> Array:
    """The values as an array of the tensor's shape; strings as an object array of bytes.

    Raises ``MessageError``, also if the shape has more values than ``limits`` allow.
    """
    name = _BY_NUMBER.get(tensor.dtype, "DT_INVALID")
    shape = _shape(tensor.tensor_shape)
    if limits is not None and math.prod(shape) > limits.values:
        raise MessageError(f"tensor_shape {shown(shape)}: {math.prod(shape)} values, which no request of images from 1 to "
                           f"{limits.batch} has")
    if name == "DT_STRING":
        return _strings(list(tensor.string_val), shape)
    if name not in _LISTS:
        raise MessageError(f"dtype {tensor.dtype} is not supported; send one of {', '.join((*_LISTS, 'DT_STRING'))}")
    dtype, values = np.dtype(_LISTS[name][0]), getattr(tensor, _LISTS[name][1])
    if tensor.tensor_content:
        return _content(tensor.tensor_content, dtype, shape)
    if len(values) > math.prod(shape):
        raise MessageError(f"{len(values)} values given, {math.prod(shape)} wanted for shape {shown(shape)}")
    try:
        listed = np.array(values, np.uint16).view(dtype) if name == "DT_HALF" else np.array(values, dtype)
    except OverflowError:
        raise MessageError(f"{_LISTS[name][1]}: holds values outside the range of {dtype}") from None
    return _filled(listed, shape)


def from_array(values: Array) -> Any:
    """A ``TensorProto`` with values in the typed list of their dtype, which every client can read."""
    name = _BY_DTYPE[values.dtype]
    tensor = tfs.TensorProto(dtype=tfs.DataType[name])
    _set_shape(tensor, values.shape)
    if name == "DT_FLOAT":
        content = np.ascontiguousarray(values, "<f4").tobytes()
        tensor.MergeFromString(_FLOAT_VAL + write_varint(len(content)) + content)
        return tensor
    flat = values.ravel().view(np.uint16) if name == "DT_HALF" else values.ravel()
    getattr(tensor, _LISTS[name][1]).extend(flat.tolist())
    return tensor


def from_content(values: Array) -> Any:
    """A ``TensorProto`` with values as raw bytes, as clients send arrays."""
    tensor = tfs.TensorProto(dtype=data_type(values.dtype), tensor_content=np.ascontiguousarray(values).tobytes())
    _set_shape(tensor, values.shape)
    return tensor


def from_strings(values: list[bytes]) -> Any:
    """A DT_STRING ``TensorProto`` of shape [N]."""
    tensor = tfs.TensorProto(dtype=tfs.DataType["DT_STRING"], string_val=values)
    _set_shape(tensor, (len(values),))
    return tensor


def set_shape(shape: Any, extents: tuple[int, ...]) -> None:
    """Fills a ``TensorShapeProto``; -1 is an open dimension."""
    shape.ClearField("dim")
    for extent in extents:
        shape.dim.add(size=extent)


def _set_shape(tensor: Any, extents: tuple[int, ...]) -> None:
    tensor.tensor_shape.SetInParent()
    set_shape(tensor.tensor_shape, extents)


def _shape(message: Any) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in message.dim)
    if message.unknown_rank or any(extent < 0 for extent in shape):
        raise MessageError(f"tensor_shape {shown(shape)}: a tensor with values needs every extent known")
    if len(shape) > MOST_DIMENSIONS or max(shape, default=0) > MOST_ELEMENTS or math.prod(shape) > MOST_ELEMENTS:
        raise MessageError(f"tensor_shape {shown(shape)}: too large")
    return shape


def _content(content: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    wanted = math.prod(shape) * dtype.itemsize
    if len(content) != wanted:
        raise MessageError(f"tensor_content: {len(content)} bytes given, {wanted} wanted for {dtype}{shown(shape)}")
    return np.frombuffer(content, dtype).reshape(shape)


def _strings(values: list[bytes], shape: tuple[int, ...]) -> Array:
    if len(values) != math.prod(shape):
        raise MessageError(f"string_val: {len(values)} strings given, {math.prod(shape)} wanted for shape {shown(shape)}")
    return strings(values).reshape(shape)


def _filled(values: Array, shape: tuple[int, ...]) -> Array:
    """Fills up a short list as TensorFlow does: the last value is repeated, and an empty list means zeros."""
    count = math.prod(shape)
    if len(values) == count:
        return values.reshape(shape)
    if len(values) <= 1:
        return np.broadcast_to(values[0] if len(values) else np.zeros((), values.dtype), shape)
    return np.concatenate([values, np.full(count - len(values), values[-1], values.dtype)]).reshape(shape)
