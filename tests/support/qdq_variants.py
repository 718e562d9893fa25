"""Random changes to QDQ networks: other dtypes for some activations, or missing quantization."""

from collections.abc import Iterator

import numpy as np
import onnx

_OFFSET = 128


def with_mixed_dtypes(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """The network with about half of its activations in the other dtype, uint8 or int8, and the same real values."""
    changed, rng = _copy(model), np.random.default_rng(seed)
    for quantizer, readers in _pairs(changed):
        if rng.random() < 0.5:
            for node in (quantizer, *readers):
                node.input[2] = _flipped(changed, node.input[2])
    return changed


def without_pairs(model: onnx.ModelProto, seed: int, share: float = 0.3) -> onnx.ModelProto:
    """The network without some of its QuantizeLinear-DequantizeLinear pairs: their readers read the float value."""
    changed, rng = _copy(model), np.random.default_rng(seed)
    for quantizer, readers in list(_pairs(changed)):
        if rng.random() >= share:
            continue
        replaced = {reader.output[0] for reader in readers}
        for node in changed.graph.node:
            node.input[:] = [quantizer.input[0] if name in replaced else name for name in node.input]
        for node in (quantizer, *readers):
            changed.graph.node.remove(node)
    return changed


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    return changed


def _pairs(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, list[onnx.NodeProto]]]:
    """The QuantizeLinears after the first whose readers are all DequantizeLinears and no outputs, with those readers."""
    outputs = {output.name for output in model.graph.output}
    inputs = {value.name for value in model.graph.input}
    for node in model.graph.node:
        readers = [reader for reader in model.graph.node if node.output[0] in reader.input]
        inside = node.op_type == "QuantizeLinear" and node.input[0] not in inputs and node.output[0] not in outputs
        dequantized = all(reader.op_type == "DequantizeLinear" and reader.output[0] not in outputs for reader in readers)
        if inside and readers and dequantized:
            yield node, readers


def _flipped(model: onnx.ModelProto, name: str) -> str:
    """A zero point of the other dtype for the bytes moved by 128."""
    zero = next(onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == name)
    dtype, offset = (np.int8, -_OFFSET) if zero.dtype == np.uint8 else (np.uint8, _OFFSET)
    flipped = f"{name}_as_{np.dtype(dtype).name}"
    if all(tensor.name != flipped for tensor in model.graph.initializer):
        value = (zero.astype(int) + offset).astype(dtype)
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, flipped))
    return flipped
