"""Bias correction for the rounding of weights.

Rounding a layer's weights to 8 bits shifts the mean of its results if its inputs have a mean other than 0: by the
sum over the input channels of (rounded weight - weight) * mean input. This shift is subtracted from the bias, as in
section 4.2 of M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019. Here
the means are measured.
"""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.runtime import Session, with_only_outputs
from arrayloom.host.models.quantize.calibration import Feed

Floats = NDArray[np.float64]


def correct_biases(middle: Model, quantized: onnx.ModelProto, feeds: Iterable[Feed]) -> onnx.ModelProto | None:
    """The float network with corrected biases; None if there is nothing to correct.

    Parameters
    ----------
    middle : Model
        The float network.
    quantized : onnx.ModelProto
        The same with QuantizeLinear and DequantizeLinear, with the same node names.
    feeds : Iterable[Feed]
        Calibration images for its inputs.
    """
    readers = Counter(name for node in middle.nodes for name in node.input)
    layers = [node for node in middle.nodes if _is_correctable(middle, node) and readers[node.input[2]] == 1]
    if not layers:
        return None
    means = _means(middle, list(dict.fromkeys(node.input[0] for node in layers)), feeds)
    rounded = _rounded_weights(quantized)
    corrected = onnx.ModelProto()
    corrected.CopyFrom(middle.proto)
    tensors = {tensor.name: tensor for tensor in corrected.graph.initializer}
    for node in layers:
        if node.name in rounded and node.input[2] in tensors:
            error = _shift(node, rounded[node.name] - middle.constants[node.input[1]], means[node.input[0]])
            bias = (middle.constants[node.input[2]].reshape(-1) - error).astype(np.float32)
            tensors[node.input[2]].CopyFrom(onnx.numpy_helper.from_array(bias, node.input[2]))
    return corrected


def _is_correctable(model: Model, node: onnx.NodeProto) -> bool:
    if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3 or not node.input[2]:
        return False
    constant = all(model.is_constant(name) for name in node.input[1:])
    return constant and model.constants[node.input[2]].size == model.shapes[node.output[0]][1]


def _means(model: Model, names: list[str], feeds: Iterable[Feed]) -> dict[str, Floats]:
    """Mean of every channel of each value, over images and positions."""
    made = [name for name in names if name in model.producers]
    session = Session(with_only_outputs(model.proto, made)) if made else None
    sums: dict[str, Floats] = {name: np.zeros(model.shapes[name][1]) for name in names}
    count = 0
    for feed in feeds:
        values = feed | (session.run(feed) if session else {})
        count += 1
        for name in names:
            sums[name] += values[name].mean(axis=(0, *range(2, values[name].ndim)), dtype=np.float64)
    return {name: total / count for name, total in sums.items()}


def _rounded_weights(quantized: onnx.ModelProto) -> dict[str, Floats]:
    """The dequantized weights of each node by its name."""
    constants = {tensor.name: tensor for tensor in quantized.graph.initializer}
    producers = {name: node for node in quantized.graph.node for name in node.output}
    found = {}
    for node in quantized.graph.node:
        dequantizer = producers.get(node.input[1]) if node.op_type in ("Conv", "Gemm") else None
        if dequantizer is not None and dequantizer.op_type == "DequantizeLinear" and dequantizer.input[0] in constants:
            values, scale = (onnx.numpy_helper.to_array(constants[name]) for name in dequantizer.input[:2])
            found[node.name] = values * _along(scale, values.ndim, int(attribute(dequantizer, "axis", 1)))
    return found


def _along(scale: NDArray[np.float32], rank: int, axis: int) -> Floats:
    wide = scale.astype(np.float64)
    return wide if wide.size == 1 else wide.reshape([-1 if place == axis else 1 for place in range(rank)])


def _shift(node: onnx.NodeProto, error: Floats, mean: Floats) -> Floats:
    """The mean shift of every channel of the result."""
    if node.op_type == "Gemm":
        shift: Floats = (error if attribute(node, "transB", 0) else error.T) @ mean
        return shift * float(attribute(node, "alpha", 1.0))
    group = int(attribute(node, "group", 1))
    outputs = error.shape[0]
    by_input = error.reshape(group, outputs // group, error.shape[1], -1).sum(axis=3)
    return np.einsum("goc,gc->go", by_input, mean.reshape(group, -1)).reshape(outputs)


def mean_sqnr(reference: Model, quantized: onnx.ModelProto, feeds: Iterable[Feed]) -> float:
    """Signal to quantization noise ratio of the float outputs in decibels, the mean over the outputs."""
    real, rounded = Session(reference.proto), Session(quantized)
    names = [name for name in reference.outputs if reference.dtypes[name] == np.float32]
    signal, noise = (dict.fromkeys(names, 0.0) for _ in range(2))
    for feed in feeds:
        wanted, got = real.run(feed), rounded.run(feed)
        for name in names:
            if wanted[name].shape == got[name].shape:   # the numbers of boxes differ
                signal[name] += float(np.square(wanted[name], dtype=np.float64).sum())
                noise[name] += float(np.square(np.subtract(wanted[name], got[name], dtype=np.float64)).sum())
    ratios = [signal[name] / max(noise[name], np.finfo(np.float64).tiny) for name in names if signal[name]]
    return float(np.mean(10 * np.log10(ratios))) if ratios else 0.0
