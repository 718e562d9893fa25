"""The bounds of Relu and Clip."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.report import RefusalError, node_name


def clip_bounds(model: Model, node: onnx.NodeProto) -> tuple[float, float]:
    """Lowest and highest value that a Relu or a Clip leaves.

    Raises:
        RefusalError: a bound is computed at run time.
    """
    if node.op_type == "Relu":
        return 0.0, np.inf
    found = []
    for index, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        if len(node.input) > index and node.input[index] and not model.is_constant(node.input[index]):
            raise RefusalError(f"the bound '{node.input[index]}' of Clip '{node_name(node)}' is not constant", "fix it")
        value = model.constant(node, index)
        found.append(float(attribute(node, name, default)) if value is None else float(value.reshape(())))
    return found[0], found[1]
