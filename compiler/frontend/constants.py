"""Constant tensors on the accelerator: loaded, or computed from another tensor whatever its bytes are."""

import numpy as np
import onnx

from arrayloom.compiler.attention import Constant
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.moved import image_shape
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Array
from arrayloom.compiler.graph import Conv, Move, Tensor
from arrayloom.isa.instructions import BYTE_VALUES

LARGEST_KERNEL = 1023           # most rows or columns that an instruction can describe
MOST_MULTIPLICATIONS = 1 << 32  # most multiplications for one constant


def constant_tensor(builder: Builder, node: onnx.NodeProto, values: Array, near: Tensor) -> str:
    """Adds a tensor with the bytes `values` [1, ...], which differ between positions, and returns its name.

    With the ATTENTION unit, whose networks have many constants, they are loaded. Otherwise a single pixel with value 1,
    derived from `near`, is convolved with the values: in a full convolution each result reads that pixel through one tap of
    the kernel.

    Raises
    ------
    RefusalError
        There are too many values.
    """
    shape = image_shape(values.shape[1:])
    channels, height, width = shape
    if builder.report.attention:
        made = declare_made(builder, f"constant, made for {node.name or node.output[0]}",
                            Tensor("", shape, values.dtype, values.shape[1:]))
        builder.add(Constant, node, made, values=values.reshape(shape))
        return made
    if max(height, width) > LARGEST_KERNEL or channels * (height * width) ** 2 > MOST_MULTIPLICATIONS:
        raise RefusalError(
            "its constant differs between more positions than a convolution can make",
            "use a constant that differs only between rows or only between columns, or apply it on the host",
            f"shape {list(values.shape)}",
        )
    pixel = _pixel(builder, node, near, values.dtype)
    stem = f"constant, made for {node.name or node.output[0]}"
    made = declare_made(builder, stem, Tensor("", shape, values.dtype, values.shape[1:]))
    flipped = values.reshape(channels, 1, height, width)[:, :, ::-1, ::-1].astype(np.int16)
    builder.add(Conv, node, made, x=pixel, weight=np.ascontiguousarray(flipped), bias=np.zeros(channels, np.int32), x_zero=0,
                scale=np.ones(channels, np.float32), y_zero=0, pads=(height - 1, width - 1, height - 1, width - 1))
    return made


def constant_channels(builder: Builder, node: onnx.NodeProto, values: Array, near: Tensor) -> str:
    """Adds a tensor [C, H, W] of constant channels, with H and W of `near`; `values` holds the C bytes."""
    shape = (len(values), *near.shape[1:])
    made = declare_made(builder, f"constant, made for {node.name or node.output[0]}", Tensor("", shape, values.dtype, shape))
    rows, columns = (np.arange(extent, dtype=np.int32) for extent in near.shape[1:])
    table = np.repeat(values[:, np.newaxis], BYTE_VALUES, axis=1)
    builder.add(Move, node, made, x=near.name, channels=np.zeros(len(values), np.int32), rows=rows, columns=columns,
                table=table, fill=0)
    return made


def declare_made(builder: Builder, stem: str, like: Tensor) -> str:
    """Declares a tensor that the model does not have, with the shape and dtype of `like`; returns its name."""
    name, count = stem, 1
    while name in builder.tensors or name in builder.model.shapes:
        count += 1
        name = f"{stem} {count}"
    builder.tensors[name] = Tensor(name, like.shape, like.dtype, like.onnx_shape)
    builder.model.shapes[name], builder.model.dtypes[name] = (1, *like.onnx_shape), like.dtype
    return name


def _pixel(builder: Builder, node: onnx.NodeProto, near: Tensor, dtype: np.dtype) -> str:
    """Adds a tensor with a single element, 1, and returns its name."""
    one, first = (1, 1, 1), np.zeros(1, np.int32)
    made = declare_made(builder, f"one, made for {node.name or node.output[0]}", Tensor("", one, dtype, one))
    builder.add(Move, node, made, x=near.name, channels=first, rows=first, columns=first,
                table=np.ones((1, BYTE_VALUES), dtype), fill=0)
    return made
