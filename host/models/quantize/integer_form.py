"""From a prepared network and its ranges to integer operators."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from arrayloom.compiler.frontend.lowering import lower
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.report import Report
from arrayloom.host.models.quantize.errors import QuantizeError
from arrayloom.host.models.quantize.plan import Plan
from arrayloom.host.models.quantize.ranges import bounds
from arrayloom.host.models.quantize.weights import Overrides, weight_overrides

#: The integer of a float value X is called X with this behind it.
INTEGER_SUFFIX = "_quantized"

#: Scale and zero point of an integer value.
Scale = tuple[float, int]

_LISTED = 8  # names in a message before "and N more"


def quantized_form(model: Model, plan: Plan, ranges: TensorsData) -> onnx.ModelProto:
    """The network with QuantizeLinear and DequantizeLinear around what the plan names, by ONNX Runtime's quantizer."""
    quantized = _quantized(model, plan, ranges, {})
    overrides = weight_overrides(model, scales_of(quantized))
    return _quantized(model, plan, ranges, overrides) if overrides else quantized


def _quantized(model: Model, plan: Plan, ranges: TensorsData, overrides: Overrides) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    chosen = set(plan.nodes)
    types = {node.op_type for node in proto.graph.node if node.name in chosen}
    with _quiet():
        quantizer = QDQQuantizer(
            proto,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QUInt8,
            tensors_range=copy.deepcopy(ranges),
            nodes_to_quantize=plan.nodes,
            nodes_to_exclude=[],
            op_types_to_quantize=sorted(types),
            extra_options={"TensorQuantOverrides": overrides},
        )
        for name in plan.values:
            quantizer.quantize_activation_tensor(name)
        for name, (source, node) in plan.kept.items():
            quantizer.quantize_output_same_as_input(name, source, node)
        quantizer.quantize_model()
    quantizer.model.topological_sort()
    return quantizer.model.model


def integer_form(quantized: onnx.ModelProto) -> onnx.ModelProto:
    """The same network in integer operators.

    Raises:
        UnsupportedError: operators that have no integer form; all of them are listed.
    """
    report = Report()
    lowered = lower(Model(quantized), report)
    report.close()
    return lowered


def check_scales(model: Model, quantized: onnx.ModelProto, ranges: TensorsData, images: int) -> None:
    """Raises `QuantizeError`, which names them, where values were 0 on all images and so have no scale."""
    dead = []
    for node in quantized.graph.node:
        if node.op_type != "QuantizeLinear":
            continue
        name = source_of(node)
        if name in ranges and np.abs(bounds(ranges, name)).max() / np.iinfo(np.uint8).max < np.finfo(np.float32).tiny:
            producer = model.producers.get(name)
            dead.append(f"'{name}', " + (f"the result of {producer.op_type} '{producer.name}'" if producer else "an input"))
    if dead:
        more = f"\n  and {len(dead) - _LISTED} more" if len(dead) > _LISTED else ""
        raise QuantizeError(f"{len(dead)} values are 0 on all {images} calibration images, so that they have no scale:\n  "
                            + "\n  ".join(dead[:_LISTED]) + more
                            + "\ncalibrate on more and other images, check the preprocessing, or remove the dead layers")


def scales_of(quantized: onnx.ModelProto) -> dict[str, Scale]:
    """Scale and zero point of every float value that was quantized, by its name."""
    constants = {tensor.name: tensor for tensor in quantized.graph.initializer}
    scales = {}
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero_point = (onnx.numpy_helper.to_array(constants[name]).reshape(()) for name in node.input[1:3])
            scales[source_of(node)] = float(scale), int(zero_point)
    return scales


def source_of(quantizer: onnx.NodeProto) -> str:
    """The float value that a QuantizeLinear stands for, by its name before ONNX Runtime's quantizer."""
    return str(quantizer.input[0]).removesuffix("_QuantizeLinear_Input")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizer's advice on its root logger about steps that were done before."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(previous)
