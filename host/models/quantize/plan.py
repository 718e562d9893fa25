"""Plans which values of a float network become integers.

Operators with an integer kernel read and write integers. Element-wise functions between two of them
stay float, and together become one lookup table with a single rounding: nothing inside such an island is quantized.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attention import is_product
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import FUNCTIONS, MOVEMENTS, NOTHING, RESHAPES
from arrayloom.compiler.frontend.lowering.scaling import factor_of
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.tabulate import differs_between_positions

Floats = NDArray[np.float64]

#: Their weights are constants, and ONNX Runtime's quantizer knows their axes.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")

#: Their results are elements of their operand, so the scale stays the same.
KEEPING = (*MOVEMENTS, "MaxPool", "Resize", "Split")

#: Saturation replaces them if the range begins at 0, or ends at the Clip's bound.
CLAMPS = ("Relu", "Clip")

#: Operators that the host computes after the last integer.
TAIL = ("Softmax",)

#: Sums and products with a constant that differs between positions, such as the positions of tokens.
_WITH_CONSTANTS = ("Add", "Mul")


@dataclass
class Plan:
    """Instructions for ONNX Runtime's quantizer.

    Attributes
    ----------
    nodes : list[str]
        Names of the nodes that it quantizes by its own rules.
    values : dict[str, None]
        Values to quantize.
    kept : dict[str, tuple[str, str]]
        Values that share the scale of another value: that value, and the node between them.
    """

    nodes: list[str] = field(default_factory=list)
    values: dict[str, None] = field(default_factory=dict)
    kept: dict[str, tuple[str, str]] = field(default_factory=dict)


def ends(model: Model, node: onnx.NodeProto) -> bool:
    """Whether only reshapes follow a node, which the host does together with it."""
    readers = [reader for name in node.output for reader in model.consumers.get(name, [])]
    return all(reader.op_type in (*RESHAPES, *NOTHING, "Transpose") and ends(model, reader) for reader in readers)


def make_plan(model: Model, ranges: Mapping[str, Floats]) -> Plan:
    """The plan for a prepared network.

    Parameters
    ----------
    ranges : Mapping[str, Floats]
        Minimum and maximum of each value.
    """
    plan = _Planner(model).plan
    _share_scales(model, plan, ranges)
    return plan


def _share_scales(model: Model, plan: Plan, ranges: Mapping[str, Floats]) -> None:
    """Give the inputs of a concatenation its scale, so that integers are copied and rounded only once.

    An input keeps its own scale if other nodes read it and it would lose more than one bit, or if it relies on saturation
    and the range of the concatenation exceeds the bound.
    """
    for node in model.nodes:
        if node.op_type != "Concat" or node.output[0] not in plan.values or node.output[0] in plan.kept:
            continue
        whole = _extent(ranges, node.output[0])
        for name in node.input:
            root = _root(plan, name)
            alone = root == name and len(model.consumers[name]) == 1
            made = root in plan.values and root in model.producers and root not in model.outputs
            made = made and not _is_unclamped(model, plan, root, ranges[node.output[0]])
            if made and root != node.output[0] and (alone or _extent(ranges, root) >= whole / 2):
                plan.kept[root] = node.output[0], node.name


def _is_unclamped(model: Model, plan: Plan, name: str, range_: Floats) -> bool:
    """Whether a value is the result of a Relu or Clip that a scale with another range could not replace."""
    node = model.producers[name]
    if node.op_type not in CLAMPS or node.name not in plan.nodes:
        return False
    lowest, highest = _clamp_bounds(model, node)
    return bool(min(range_[0], 0) < lowest or max(range_[1], 0) > highest)


def _clamp_bounds(model: Model, node: onnx.NodeProto) -> tuple[float, float]:
    """Bounds of a Relu, or of a Clip with constant bounds."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    bounds = []
    for index, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        value = model.constant(node, index)
        bounds.append(float(attribute(node, name, default) if value is None else value.reshape(())))
    return bounds[0], bounds[1]


def _root(plan: Plan, name: str) -> str:
    while name in plan.kept:
        name = plan.kept[name][0]
    return name


def _extent(ranges: Mapping[str, Floats], name: str) -> float:
    """Width of the range that a scale covers, which holds 0."""
    lowest, highest = ranges[name]
    return float(max(highest, 0) - min(lowest, 0))


class _Planner:
    def __init__(self, model: Model) -> None:
        self._model = model
        self.plan = Plan()
        self._origins: dict[str, str] = {}  # for each float value, the integer that it is a function of
        self._tail: set[str] = set()
        self._scaled: set[str] = set()  # products of activations whose result is quantized after a factor
        for value in model.inputs:
            self._integer([value.name])
        for node in model.nodes:
            if not model.is_constant(node.output[0]):
                self._visit(node)
        self.plan.values.update(dict.fromkeys(name for name in model.outputs if name not in self._tail))

    def _visit(self, node: onnx.NodeProto) -> None:
        operands = [name for name in dict.fromkeys(node.input) if name and not self._model.is_constant(name)]
        outputs = [name for name in node.output if name]
        if self._is_tail(node, operands):
            self._tail.update(outputs)
            self._origins.update({name: name for name in outputs})
            self.plan.values.update(dict.fromkeys(name for name in operands if name not in self._tail))
        elif is_product(self._model, node) and self._factor(node):
            self._integer(operands)
            self._scaled.update(outputs)
        elif self._scaled.issuperset(operands):
            self._integer(outputs)
        elif self._is_clamp(node):
            self.plan.nodes.append(node.name)
            self._integer(outputs)
        elif self._is_function(node, operands):
            self._origins.update(dict.fromkeys(outputs, self._origins[operands[0]]))
        else:
            self._integer([*operands, *outputs])
            self._integer([name for name in node.input if self._is_quantized_constant(node, name)])
            if node.op_type in WEIGHTED and not is_product(self._model, node):
                self.plan.nodes.append(node.name)
            elif self._keeps_scale(node):
                self.plan.kept.update(dict.fromkeys(outputs, (node.input[0], node.name)))

    def _integer(self, names: list[str]) -> None:
        floats = [name for name in names if self._model.dtypes[name] == np.float32]
        self.plan.values.update(dict.fromkeys(floats))
        for name in names:
            self._origins[name] = name

    def _factor(self, node: onnx.NodeProto) -> bool:
        """Whether the result of a node is multiplied by one positive constant and nothing else reads it."""
        reader = self._model.only_reader(node.output[0])
        return reader is not None and factor_of(self._model, reader) is not None

    def _is_quantized_constant(self, node: onnx.NodeProto, name: str) -> bool:
        """Whether a constant operand is quantized as an activation: it differs between positions, or nodes make it."""
        if not name or not self._model.is_constant(name):
            return False
        if node.op_type in _WITH_CONSTANTS:
            return differs_between_positions(self._model.constants[name], len(self._model.shapes[node.output[0]]))
        return node.op_type == "Concat" and name in self._model.producers

    def _is_tail(self, node: onnx.NodeProto, operands: list[str]) -> bool:
        if node.op_type in TAIL:
            return ends(self._model, node)
        return node.op_type in (*RESHAPES, *NOTHING) and all(name in self._tail for name in operands)

    def _is_clamp(self, node: onnx.NodeProto) -> bool:
        """Whether the node only clamps the result of an operator with an integer kernel."""
        source = node.input[0]
        producer = self._model.producers.get(source)
        if node.op_type not in CLAMPS or producer is None or self._origins.get(source) != source:
            return False
        if producer.op_type in KEEPING or source in self._model.outputs or len(self._model.consumers[source]) > 1:
            return False
        return node.op_type == "Relu" or self._spans_zero(node)

    def _spans_zero(self, clip: onnx.NodeProto) -> bool:
        """Quantized ranges always contain 0; a range without 0 would not saturate at the Clip's bounds."""
        if not all(self._model.is_constant(name) for name in clip.input[1:] if name):
            return False
        lowest, highest = _clamp_bounds(self._model, clip)
        return lowest <= 0 <= highest

    def _keeps_scale(self, node: onnx.NodeProto) -> bool:
        """Whether its result contains only elements of its operand and zeros, which every scale can represent."""
        if node.op_type == "Pad" and attribute(node, "mode", "constant") == "constant":
            given = node.input[2] if len(node.input) > 2 else ""
            return not given or (self._model.is_constant(given) and not np.any(self._model.constants[given]))
        return node.op_type in KEEPING and (node.op_type != "Resize" or attribute(node, "mode", "nearest") == "nearest")

    def _is_function(self, node: onnx.NodeProto, operands: list[str]) -> bool:
        """Whether each element of the result depends on one element of one integer value."""
        if node.op_type not in (*FUNCTIONS, *NOTHING):
            return False
        if any(self._is_quantized_constant(node, name) for name in node.input):
            return False
        shape = self._model.shapes[node.output[0]]
        alike = all(self._model.shapes[name] == shape for name in operands)
        return alike and len({self._origins[name] for name in operands}) == 1
