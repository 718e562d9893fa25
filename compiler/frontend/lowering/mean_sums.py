"""Lowers sums and differences of two unquantized means: one convolution over both images computes them exactly."""

import numpy as np
import onnx

from arrayloom.compiler.frontend.kinds import NOTHING, RESHAPES
from arrayloom.compiler.frontend.lowering.reductions import reduced_axes
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.target import Target
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import MICROSOFT
from arrayloom.compiler.frontend.origin import origin_name
from arrayloom.compiler.frontend.report import RefusalError, node_name

MEANS = ("GlobalAveragePool", "ReduceMean")
SIGNS = {"Add": (1, 1), "Sub": (1, -1)}


def joins_means(model: Model, node: onnx.NodeProto) -> bool:
    """Whether the only reader of a mean, after reshapes, is a sum or difference of two means."""
    reader = model.only_reader(node.output[0])
    while reader is not None and reader.op_type in RESHAPES + NOTHING:
        reader = model.only_reader(reader.output[0])
    return reader is not None and reader.op_type in SIGNS and means_of(model, reader) is not None


def means_of(model: Model, node: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """Returns the two means over height and width that a node combines, or None if it has other operands or shapes."""
    means = [_mean(model, name) for name in node.input]
    found = [mean for mean in means if mean is not None]
    if len(found) != 2 or len({model.shapes[mean.input[0]] for mean in found}) != 1:
        return None
    return found if model.shapes[node.input[0]] == model.shapes[node.input[1]] else None


def _mean(model: Model, value: str) -> onnx.NodeProto | None:
    node = model.producers.get(value)
    while node is not None and node.op_type in RESHAPES + NOTHING:
        node = model.producers.get(node.input[0])
    if node is None or node.op_type not in MEANS or len(model.shapes[node.input[0]]) != 4:
        return None
    return node if node.op_type == "GlobalAveragePool" or _spatial(model, node) else None


def _spatial(model: Model, node: onnx.NodeProto) -> bool:
    try:
        return reduced_axes(model, node) == [2, 3]
    except RefusalError:
        return False


def mean_sources(rewrite: Rewrite, means: list[onnx.NodeProto]) -> list[Source]:
    """Returns the integers over which two means are taken.

    Raises
    ------
    RefusalError
        They have different quantizations, so that a sum of integers does not represent the sum of their values.
    """
    sources = [rewrite.source(mean.input[0]) for mean in means]
    if sources[0].quantization != sources[1].quantization:
        raise RefusalError(
            f"it combines means that are not quantized ('{origin_name(means[0])}' and '{origin_name(means[1])}'), "
            "of values with different scales",
            "put QuantizeLinear and DequantizeLinear after both means",
        )
    return sources


def emit_mean_sum(rewrite: Rewrite, node: onnx.NodeProto, sources: list[Source], signs: tuple[int, int], target: Target,
                  output: str, maps: tuple[int, ...]) -> None:
    """Emits +-mean(a) +- mean(b) in the quantization of a target, as a grouped convolution.

    The channels of a and b alternate, so that each group holds one channel of both. `maps` is the shape [C, H, W] of both
    images.
    """
    model, quantization = rewrite.model, sources[0].quantization
    channels, height, width = maps
    joined, total = rewrite.fresh(f"{output}_joined"), rewrite.fresh(f"{output}_total")
    inputs = list(rewrite.parameters(joined, quantization))
    inputs += [name for source in sources for name in rewrite.operand(source)]
    rewrite.emit("QLinearConcat", quant_name(node), inputs, joined, domain=MICROSOFT, axis=1)
    turns = np.arange(2 * channels).reshape(2, channels).T.ravel()
    paired = rewrite.through(node, "Gather", joined, turns, axis=1)
    weight = np.broadcast_to(np.array(signs, np.int8)[:, np.newaxis, np.newaxis], (channels, 2, height, width))
    operands = [
        paired, *rewrite.parameters(paired, quantization),
        rewrite.constant(f"{output}_signs", np.ascontiguousarray(weight)),
        rewrite.constant(f"{output}_signs_scale", np.float32(1) / np.array(height * width, np.float32)),
        rewrite.constant(f"{output}_signs_zero_point", np.array(0, np.int8)),
        *rewrite.parameters(output, target.quantization),
    ]
    rewrite.emit("QLinearConv", quant_name(node), operands, total, group=channels)
    shape = rewrite.constant(f"{output}_shape", np.array([0, *model.shapes[node.output[0]][1:]], np.int64))
    rewrite.emit("Reshape", f"{node_name(node)}_reshape", [total, shape], output)
