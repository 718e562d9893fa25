"""Reducing a failing network to the few operators that fail."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from compiler.frontend.runtime import model_inputs
from host.reference import Reference

Array = NDArray[Any]
Fails = Callable[[onnx.ModelProto, dict[str, Array]], bool]


def shrink(
    model: onnx.ModelProto, inputs: Mapping[str, Array], fails: Fails, folder: Path | None = None
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The smallest part found on which `fails` still holds, with the inputs that it fails on.

    First the network ends at the earliest integer value that fails, then it begins at the latest integer values that
    still let it fail; those are given the values ONNX Runtime computes.

    Args:
        model: a network of integer values.
        inputs: its inputs, batch of 1.
        fails: whether a network fails on inputs. It must not raise.
        folder: where to write `model.onnx` and `inputs.npz`.
    """
    known = dict(inputs) | _integers(model, inputs)
    small, given = _end_early(model, dict(inputs), known, fails)
    small, given = _begin_late(small, given, known, fails)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save(small, folder / "model.onnx")
        np.savez(folder / "inputs.npz", **given)
    return small, given


def part(model: onnx.ModelProto, given: Mapping[str, Array], output: str) -> onnx.ModelProto:
    """The nodes between the values `given` and one output, as a model."""
    wanted, nodes = {output}, []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output) and not set(given).issuperset(node.output):
            nodes.append(node)
            wanted.update(node.input)
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    graph = cut.graph
    del graph.node[:], graph.input[:], graph.output[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes[::-1])
    graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in wanted)
    graph.output.append(onnx.ValueInfoProto(name=output))
    for name, array in given.items():
        if name in wanted:
            dtype = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            graph.input.append(onnx.helper.make_tensor_value_info(name, dtype, array.shape))
    return cut


def _integers(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> dict[str, Array]:
    values = Reference(model).run_all(inputs)
    return {name: value for name, value in values.items() if value.dtype in (np.uint8, np.int8)}


def _needed(model: onnx.ModelProto, known: Mapping[str, Array]) -> dict[str, Array]:
    return {value.name: known[value.name] for value in model_inputs(model.graph)}


def _end_early(
    model: onnx.ModelProto, given: dict[str, Array], known: Mapping[str, Array], fails: Fails
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    for node in model.graph.node:
        if node.output[0] in known:
            shorter = part(model, given, node.output[0])
            if fails(shorter, _needed(shorter, known)):
                return shorter, _needed(shorter, known)
    return model, given


def _begin_late(
    model: onnx.ModelProto, given: dict[str, Array], known: Mapping[str, Array], fails: Fails
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    output = model.graph.output[0].name
    for node in reversed(list(model.graph.node)):
        name = node.output[0]
        if name in known and name != output:
            trial = {**given, name: known[name]}
            shorter = part(model, trial, output)
            if len(shorter.graph.node) < len(model.graph.node) and fails(shorter, _needed(shorter, known)):
                model, given = shorter, _needed(shorter, known)
    return model, given
