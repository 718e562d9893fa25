"""Finds the nodes of an island."""

from dataclasses import dataclass
from heapq import heappop, heappush

import onnx

from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.kinds import FUNCTIONS, MOVEMENTS, NOTHING
from arrayloom.compiler.frontend.lowering import RULES as LOWERED
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.quantization import of_quantizer
from arrayloom.compiler.frontend.remedies import not_supported
from arrayloom.compiler.frontend.report import ConsequenceError, RefusalError


@dataclass(frozen=True)
class Region:
    """An island.

    Attributes
    ----------
    sources
        The integer values that it reads, one or two.
    nodes
        Its nodes in topological order, DequantizeLinear first, QuantizeLinear last.
    quantizer
        The QuantizeLinear.
    """

    sources: tuple[str, ...]
    nodes: list[onnx.NodeProto]
    quantizer: onnx.NodeProto

    @property
    def source(self) -> str:
        """The integer value that the island reads, if it is only one."""
        (source,) = self.sources
        return source

    @property
    def pads(self) -> list[onnx.NodeProto]:
        """The Pad nodes, in order."""
        return [node for node in self.nodes if node.op_type == "Pad"]


def find_region(builder: Builder, quantizer: onnx.NodeProto) -> Region:
    """Returns the island that ends in a QuantizeLinear.

    Raises
    ------
    RefusalError
        It reads no integer value or more than two, or contains an operator that is neither a movement nor element-wise.
    """
    model = builder.model
    of_quantizer(model, quantizer)
    members = _members(builder, quantizer)
    sources = dict.fromkeys(node.input[0] for node in members if node.op_type == "DequantizeLinear")
    if len(sources) not in (1, 2):
        listed = ", ".join(f"'{name}'" for name in sources)
        raise RefusalError(
            f"its float operand combines several quantized values ({listed})",
            _apart(members),
        )
    return Region(tuple(sources), members, quantizer)


def _apart(members: list[onnx.NodeProto]) -> str:
    """Returns the remedy for an island with several sources; a single operator already has quantizers around it."""
    others = ("QuantizeLinear", "DequantizeLinear", *MOVEMENTS, *NOTHING)
    functions = [node for node in members if node.op_type not in others]
    if len(functions) == 1:
        return f"write {described(functions[0])} as operators of two operands, and quantize the result of each"
    return "put QuantizeLinear and DequantizeLinear around every operator that combines them"


def _members(builder: Builder, quantizer: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Returns the quantizer and all float nodes on which it depends, back to DequantizeLinear, in topological order."""
    model = builder.model
    heap, members = [-model.places[id(quantizer)]], list[onnx.NodeProto]()
    found = set(heap)
    while heap:
        node = model.nodes[-heappop(heap)]
        _check_member(builder, node, quantizer)
        members.append(node)
        operands = [name for name in node.input if name and not model.is_constant(name)]
        for name in () if node.op_type == "DequantizeLinear" else operands:
            if name not in model.producers:
                raise RefusalError(
                    f"the float input '{name}' of the model is computed on before it is quantized",
                    "quantize the input first, or leave the preprocessing to the host",
                )
            place = -model.places[id(model.producers[name])]
            if place not in found:
                found.add(place)
                heappush(heap, place)
    return members[::-1]


def _check_member(builder: Builder, node: onnx.NodeProto, quantizer: onnx.NodeProto) -> None:
    if builder.report.refused(node):
        raise ConsequenceError
    if node is quantizer:
        return
    if node.op_type == "DequantizeLinear":
        of_quantizer(builder.model, node)
    elif node.op_type not in FUNCTIONS + NOTHING + MOVEMENTS:
        if node.op_type not in LOWERED:
            builder.report.refuse(node, not_supported(node))
            raise ConsequenceError
        raise RefusalError(
            f"its operand is computed in float by {described(node)}, "
            "which is not element-wise",
            "put QuantizeLinear and DequantizeLinear around that node",
        )
