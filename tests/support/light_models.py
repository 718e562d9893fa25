"""The light models of the onnx wheel: real topologies with random weights in place of their constant ones.

In the original files all weights of a tensor are equal, so all classes and all images get the same score.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
SIZE = 224

Floats = NDArray[np.float32]


def light_model(name: str, seed: int) -> onnx.ModelProto:
    """The model ``light_NAME`` with seeded random weights; its graph and its other constants are unchanged.

    Filters have the standard deviation that keeps the activations of a ReLU network alive (He et al. 2015) and zero mean,
    so that the common part of all images does not hide their differences.
    """
    model = onnx.load(FOLDER / f"light_{name}.onnx")
    random = np.random.default_rng(seed)
    shapes = {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in model.graph.initializer}
    roles = _roles(model)
    nodes = []
    for node in model.graph.node:
        if node.op_type == "ConstantOfShape":
            value = _draw(random, roles[node.output[0]], shapes[node.input[0]])
            model.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def pictures(count: int, seed: int) -> Floats:
    """Random soft shapes and some noise, float32 [count, 3, 224, 224], about normal."""
    random = np.random.default_rng(seed)
    coarse = random.normal(size=(count, 3, 8, 8))
    soft = np.kron(coarse, np.ones((SIZE // 8, SIZE // 8)))
    return (soft + random.normal(scale=0.3, size=soft.shape)).astype(np.float32)


def _roles(model: onnx.ModelProto) -> dict[str, tuple[str, int]]:
    """For each constant, the operator that reads it, and the number of the operand."""
    roles: dict[str, tuple[str, int]] = {}
    for node in reversed(model.graph.node):
        for index, name in enumerate(node.input):
            reader = roles.get(node.output[0]) if node.op_type == "Unsqueeze" else None
            roles[name] = reader or (node.op_type, index)
    return roles


def _draw(random: np.random.Generator, role: tuple[str, int], shape: list[int]) -> Floats:
    match role:
        case (("Conv" | "Gemm"), 1):
            weight = random.normal(size=shape)
            weight -= weight.mean(axis=tuple(range(1, len(shape))), keepdims=True)
            value = weight * np.sqrt(2 / np.prod(shape[1:]))
        case ("BatchNormalization", 1 | 4) | ("Mul", _):
            value = random.uniform(0.6, 1.4, shape)  # scale and variance
        case _:
            value = random.normal(scale=0.1, size=shape)  # bias and mean
    return value.astype(np.float32)
