"""Broadcasts operands of different shapes: a movement repeats the elements of the smaller one."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.moved import Moved
from arrayloom.compiler.frontend.movement import in_place
from arrayloom.compiler.frontend.report import RefusalError


def broadcast(builder: Builder, node: onnx.NodeProto, *names: str) -> list[str]:
    """Declares the result of the node and returns the names of its operands, all broadcast to the shape of the result.

    Raises
    ------
    RefusalError
        The ranks differ.
    """
    wanted = builder.model.shapes[node.output[0]]
    shapes = [builder.model.shapes[name] for name in names]
    if any(len(shape) != len(wanted) for shape in shapes):
        raise RefusalError(
            f"its operands have {' and '.join(str(len(shape)) for shape in shapes)} dimensions",
            "give both the same number of dimensions, with Unsqueeze or Reshape before quantization",
            f"shapes {' and '.join(str(list(shape[1:])) for shape in shapes)}",
        )
    found = [name if shape == wanted else _spread(builder, node, name) for name, shape in zip(names, shapes, strict=True)]
    layouts = {builder.tensor(name).shape for name in found}
    if len(layouts) > 1:  # some are reshaped images: give all the layout of their ONNX shape
        found = [builder.image(name).name for name in found]
        layouts = {builder.tensor(name).shape for name in found}
    builder.declare(node.output[0], layouts.pop())
    return found


def _spread(builder: Builder, node: onnx.NodeProto, name: str) -> str:
    """Returns the name of a tensor that repeats the elements of `name` over the shape of the node's result."""
    x = builder.tensor(name)
    index = np.broadcast_to(in_place((1, *x.onnx_shape)), builder.model.shapes[node.output[0]])
    return builder.intermediate(node, name, Moved(name, index, None, node, name, index))
