"""Converts a prepared network with its ranges to integer operators, with ONNX Runtime's quantizer.

Remaining float operators between two integers are removed, and names show which float value an integer represents.
"""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from arrayloom.compiler.frontend import ImportOptions, import_model
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import RESHAPES
from arrayloom.compiler.frontend.lowering import lower
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS
from arrayloom.compiler.frontend.origin import described, trace_origins
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.runtime import quiet
from arrayloom.host.models.errors import QuantizeError
from arrayloom.host.models.quantize.modernize import prune
from arrayloom.host.models.quantize.plan import WEIGHTED, Plan
from arrayloom.host.models.quantize.scales import Overrides, bounds, weight_overrides
from arrayloom.isa.host_steps import quantize

#: The integer of a float value X is called X with this suffix.
INTEGER_SUFFIX = "_quantized"

#: Data movement operators that ONNX Runtime supports for 8-bit types; only their first operand is data.
BYTE_MOVEMENTS = (*RESHAPES, "Transpose", "Slice", "Gather", "Identity", "Pad")

#: Scale and zero point of an integer value.
Scale = tuple[float, int]

_LISTED = 8  # names in a message before "and N more"


def quantized_form(model: Model, plan: Plan, ranges: TensorsData) -> onnx.ModelProto:
    """Inserts QuantizeLinear and DequantizeLinear as planned, with ONNX Runtime's quantizer.

    Raises
    ------
    QuantizeError
        A weight is not finite, or the quantizer refuses the network.
    """
    _check_weights(model)
    quantized = _quantized(model, plan, ranges, {})
    overrides = weight_overrides(model, scales_of(quantized))
    return _quantized(model, plan, ranges, overrides) if overrides else quantized


def _check_weights(model: Model) -> None:
    for node in model.nodes:
        for name in node.input[1:] if node.op_type in WEIGHTED else ():
            if name in model.constants and not np.isfinite(model.constants[name]).all():
                raise QuantizeError(f"the weights '{name}' of {described(node)} hold NaN or infinity; train again")


def _quantized(model: Model, plan: Plan, ranges: TensorsData, overrides: Overrides) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    chosen = set(plan.nodes)
    types = {node.op_type for node in proto.graph.node if node.name in chosen}
    with quiet(), _named_failures():
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
    trace_origins(model.nodes, quantizer.model.model.graph, before=True)
    return quantizer.model.model


@contextmanager
def _named_failures() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # assertions and ValueErrors that name no node
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise QuantizeError(f"ONNX Runtime's quantizer refuses the network: {first}; export it again, with operator set 13 "
                            "or later") from error


def integer_form(quantized: onnx.ModelProto, options: ImportOptions = DEFAULT_OPTIONS) -> onnx.ModelProto:
    """The same network in integer operators.

    Parameters
    ----------
    quantized : onnx.ModelProto
        The network with QuantizeLinear and DequantizeLinear.
    options : ImportOptions
        Whether products of activations and softmax become integer operators too.

    Raises
    ------
    UnsupportedError
        Operators that have no integer form; all of them are listed.
    """
    report = Report(attention=options.attention)
    lowered = lower(Model(quantized), report)
    if report.entries:
        import_model(quantized, options)  # also raises what the passes after the lowering refuse
        report.close()
    return lowered


def check_scales(model: Model, quantized: onnx.ModelProto, ranges: TensorsData, images: int) -> None:
    """Raises `QuantizeError` naming the values that were 0 on all images, and so have no scale."""
    dead = []
    for node in quantized.graph.node:
        if node.op_type != "QuantizeLinear":
            continue
        name = source_of(node)
        if name in ranges and np.abs(bounds(ranges, name)).max() / np.iinfo(np.uint8).max < np.finfo(np.float32).tiny:
            producer = model.producers.get(name)
            dead.append(f"'{name}', " + (f"the result of {described(producer)}" if producer else "an input"))
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
    """The original name of the float value that a QuantizeLinear quantizes."""
    return str(quantizer.input[0]).removesuffix("_QuantizeLinear_Input")


def finish(model: onnx.ModelProto, metadata: Iterable[onnx.StringStringEntryProto]) -> onnx.ModelProto:
    """Replaces DequantizeLinear, movement and QuantizeLinear with one scale by integer movement, and renames the values.

    The integer of a float value X is called X_quantized. The float network's metadata are kept.
    """
    del model.metadata_props[:]
    model.metadata_props.extend(metadata)
    _Shortcuts(model).apply()
    prune(model)
    _rename(model)
    return model


class _Shortcuts:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._producers = {name: node for node in model.graph.node for name in node.output}

    def apply(self) -> None:
        nodes: list[onnx.NodeProto] = []
        aliases: dict[str, str] = {}
        for node in self._graph.node:
            chain = self._chain(node) if node.op_type == "QuantizeLinear" else None
            if chain is None:
                nodes.append(node)
                continue
            value = chain[0].input[0]
            for move in chain[1:]:
                value = self._move(nodes, move, value, node)
            if len(chain) == 1:
                aliases[node.output[0]] = aliases.get(value, value)
        for node in nodes:
            node.input[:] = [aliases.get(name, name) for name in node.input]
        del self._graph.node[:]
        self._graph.node.extend(nodes)

    def _chain(self, quantizer: onnx.NodeProto) -> list[onnx.NodeProto] | None:
        """The DequantizeLinear with the same parameters from which the operand comes, and the movements in between, in
        order."""
        moves: list[onnx.NodeProto] = []
        node = self._producers.get(quantizer.input[0])
        while node is not None and node.op_type in BYTE_MOVEMENTS and node.input[0] not in self._constants:
            if _adds_constant(node) and not self._has_constant(node):
                return None
            moves.append(node)
            node = self._producers.get(node.input[0])
        if node is None or node.op_type != "DequantizeLinear" or self._parameters(node) != self._parameters(quantizer):
            return None
        return [node, *moves[::-1]]

    def _padding(self, pad: onnx.NodeProto, quantizer: onnx.NodeProto) -> str:
        """The quantized value of a Pad."""
        scale, zero_point = (onnx.numpy_helper.to_array(self._constants[name]) for name in quantizer.input[1:3])
        given = pad.input[2] if len(pad.input) > 2 else ""
        value = onnx.numpy_helper.to_array(self._constants[given]).reshape(()) if given else np.float32(0)
        name = f"{quantizer.output[0]}_{pad.output[0]}_padding"
        integer = quantize(np.asarray(value), float(scale), int(zero_point), zero_point.dtype).reshape(())
        self._graph.initializer.append(onnx.numpy_helper.from_array(integer, name))
        return name

    def _has_constant(self, pad: onnx.NodeProto) -> bool:
        given = pad.input[2] if len(pad.input) > 2 else ""
        return not given or given in self._constants

    def _parameters(self, node: onnx.NodeProto) -> list[bytes]:
        tensors = [self._constants[name] for name in node.input[1:]]
        return [onnx.numpy_helper.to_array(tensor).tobytes() + bytes([tensor.data_type]) for tensor in tensors]

    def _move(self, nodes: list[onnx.NodeProto], move: onnx.NodeProto, value: str, quantizer: onnx.NodeProto) -> str:
        """Repeat a movement on integers; the last one replaces the QuantizeLinear."""
        copy = onnx.NodeProto()
        copy.CopyFrom(move)
        copy.input[0] = value
        last = move.output[0] == quantizer.input[0]
        copy.output[0] = quantizer.output[0] if last else f"{quantizer.output[0]}_{move.output[0]}"
        if _adds_constant(move):
            copy.input[:] = [*copy.input[:2], self._padding(move, quantizer), *copy.input[3:]]
        copy.name = f"{move.name}_quant_{copy.output[0]}"
        nodes.append(copy)
        return str(copy.output[0])


def _adds_constant(node: onnx.NodeProto) -> bool:
    """Whether a node pads with a value, rather than with elements of its operand."""
    return node.op_type == "Pad" and attribute(node, "mode", "constant") == "constant"


def _rename(model: onnx.ModelProto) -> None:
    suffix = "_QuantizeLinear_Output"
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    names = {name: f"{name.removesuffix(suffix)}{INTEGER_SUFFIX}" for name in taken if name.endswith(suffix)}
    names = {old: new for old, new in names.items() if new not in taken}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
