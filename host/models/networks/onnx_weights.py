"""Reads weights from an ONNX file: by initializer names, or layer by layer in the order of the graph.

Exporters rename what they fold: a file written by torch has convolutions with folded normalization and numbered names,
but its weighted layers are still in the network's order.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from arrayloom.compiler.frontend import NOTICE
from arrayloom.host.models.errors import WeightsError
from arrayloom.host.models.networks.blueprint import BATCH_NORM_EPSILON, Blueprint

Array = NDArray[Any]
WEIGHTED = ("Conv", "BatchNormalization", "Gemm")


class _Layer(NamedTuple):
    """A weighted node with the arrays it reads after its first input."""

    node: onnx.NodeProto
    values: list[Array]


def read_onnx(path: Path, blueprint: Blueprint) -> dict[str, Array]:
    """Parameters by the network's names; raises ``WeightsError`` if layers do not correspond."""
    try:
        model = onnx.load(path)
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise WeightsError(f"{path}: is not an ONNX model that can be read: {error}; obtain the file again") from None
    notices = {entry.key: np.array(entry.value) for entry in model.metadata_props if entry.key == NOTICE}
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    if set(blueprint.parameters) - set(blueprint.folded.values()) <= set(constants) and not blueprint.folded:
        return {name: constants[name] for name in blueprint.parameters} | notices
    return _by_order(path, model, constants, blueprint) | notices


def _by_order(path: Path, model: onnx.ModelProto, constants: dict[str, Array], blueprint: Blueprint) -> dict[str, Array]:
    given = _layers(model.graph, constants)
    result: dict[str, Array] = {}
    pending = next(given, None)
    for node in (node for node in blueprint.nodes if node.op_type in WEIGHTED and node.input[1] in blueprint.parameters):
        if pending is not None and pending.node.op_type == node.op_type:
            _require_same_geometry(path, node, pending.node)
            names = [*node.input[1:], f"{node.output[0]}.bias"]     # bias of a convolution with folded normalization
            result |= dict(zip(names, _oriented(pending), strict=False))
            pending = next(given, None)
        elif node.op_type == "BatchNormalization":
            result |= _identity(node, result)
        else:
            found = f"{pending.node.op_type} '{pending.node.name}'" if pending else "the end of the graph"
            raise WeightsError(f"{path}: {blueprint.name} has {node.op_type} {node.input[1].removesuffix('.weight')} where "
                               f"the file has {found}; it is another network")
    if pending is not None:
        raise WeightsError(f"{path}: holds {pending.node.op_type} '{pending.node.name}' after the last layer of "
                           f"{blueprint.name}; it is another network")
    return result | {name: np.ones(blueprint.parameters[name], np.float32) for name in blueprint.folded.values()}


def _layers(graph: onnx.GraphProto, constants: dict[str, Array]) -> Iterator[_Layer]:
    for node in graph.node:
        if node.op_type in WEIGHTED and all(name in constants for name in node.input[1:]):
            yield _Layer(node, [constants[name] for name in node.input[1:]])


def _oriented(layer: _Layer) -> list[Array]:
    """A Gemm's weight as [features out, features in]."""
    transposed = any(each.name == "transB" and each.i for each in layer.node.attribute)
    if layer.node.op_type == "Gemm" and not transposed:
        return [layer.values[0].T, *layer.values[1:]]
    return layer.values


def _identity(node: onnx.NodeProto, result: dict[str, Array]) -> dict[str, Array]:
    """A normalization that the exporter folded into the preceding convolution; only its bias is left."""
    gain, shift, mean, variance = node.input[1:]
    bias = result.pop(f"{node.input[0]}.bias")
    whole = np.ones_like(bias)
    return {gain: whole, shift: bias, mean: np.zeros_like(bias), variance: whole - np.float32(BATCH_NORM_EPSILON)}


def _require_same_geometry(path: Path, wanted: onnx.NodeProto, given: onnx.NodeProto) -> None:
    """Compares strides, pads and dilations: a ResNet v1 has the same shapes as v1.5 but strides in other layers."""
    defaults = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "group": 1}
    attributes = {each.name: helper.get_attribute_value(each) for each in given.attribute}
    ours = {each.name: helper.get_attribute_value(each) for each in wanted.attribute}
    for name, default in defaults.items() if wanted.op_type == "Conv" else ():
        there, here = attributes.get(name, default), ours.get(name, default)
        if there != here:
            raise WeightsError(f"{path}: {given.op_type} '{given.name}' has {name} {there}, and "
                               f"{wanted.input[1].removesuffix('.weight')} of the network {here}; the file holds another "
                               "version of the network, which arrayloom quantize accepts as it is")
