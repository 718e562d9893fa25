"""Where quantizing stops: nodes that the accelerator has no form for, and all that depends on them, stay float.

They lie behind the last integer, so that the host computes them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import onnx

from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.frontend.extract import host_part, middle_model
from arrayloom.compiler.frontend.lowering import lower
from arrayloom.compiler.frontend.macs import multiply_accumulates
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import SMALL_SHARE, HostPolicy
from arrayloom.compiler.frontend.origin import origin_name
from arrayloom.compiler.frontend.partition import partition
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.graph import Graph
from arrayloom.host.models.quantize.modernize import prune

Tail = frozenset[str]
"""Names of the nodes that stay float."""


def tail_of(model: Model, names: Iterable[str]) -> Tail:
    """The nodes of these names and all that depends on them."""
    found, made = set(names), set[str]()
    for node in model.nodes:
        if not model.is_constant(node.output[0]) and (node.name in found or made.intersection(node.input)):
            found.add(node.name)
            made.update(name for name in node.output if name)
    return frozenset(node.name for node in model.nodes if node.name in found)


def grown(model: Model, tail: Tail, refused: Sequence[Unsupported], policy: HostPolicy) -> Tail:
    """The tail with the nodes that the accelerator cannot compute.

    Raises `UnsupportedError` with these nodes where the tail stays as it is, or becomes larger than `policy` permits.
    """
    larger = tail_of(model, tail.union(entry.node for entry in refused))
    if larger == tail or policy is HostPolicy.NONE:
        raise UnsupportedError(refused)
    macs = {node.name: multiply_accumulates(model, node) for node in model.nodes}
    total = sum(macs.values())
    share = sum(macs[name] for name in larger) / total if total else 1.0
    if share == 1:
        raise UnsupportedError(refused)
    if policy is HostPolicy.SMALL and share > SMALL_SHARE:
        advice = f"or leave it and what follows in float on the host with --host-tail ({100 * share:.1f} % of the " \
                 "multiply-accumulates)"
        raise UnsupportedError([replace(entry, remedy=f"{entry.remedy}; {advice}") for entry in refused])
    return larger


def without_tail(model: Model, tail: Tail) -> onnx.ModelProto:
    """The network up to the tail, whose operands become outputs."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    kept = [node for node in proto.graph.node if node.name not in tail]
    made = {name for node in kept for name in node.output if name and not model.is_constant(name)}
    read = [name for node in proto.graph.node if node.name in tail for name in node.input if name in made]
    outputs = [value.name for value in proto.graph.output if value.name in made]
    del proto.graph.output[:], proto.graph.node[:]
    proto.graph.node.extend(kept)
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys([*outputs, *read]))
    prune(proto)
    return proto


def integer_form(quantized: onnx.ModelProto) -> onnx.ModelProto:
    """A network in integer operators; what is behind its last QuantizeLinear and DequantizeLinear stays as it is.

    Raises
    ------
    UnsupportedError
        Operators that have no integer form; all of them are listed.
    """
    parts = partition(Model(quantized))
    report = Report()
    middle = middle_model(parts)
    lowered = lower(parts.model if middle is quantized else Model(middle), report)
    report.close()
    behind = host_part(parts, parts.tail)
    return lowered if behind is None else _joined(quantized, lowered, onnx.ModelProto.FromString(behind.model))


def _joined(whole: onnx.ModelProto, front: onnx.ModelProto, behind: onnx.ModelProto) -> onnx.ModelProto:
    """The two parts of a network one after the other, with its inputs and outputs."""
    joined = onnx.ModelProto()
    joined.CopyFrom(front)
    made = {name for node in front.graph.node for name in node.output}
    held = {tensor.name for tensor in front.graph.initializer}
    joined.graph.node.extend(node for node in behind.graph.node if not made.intersection(node.output))
    joined.graph.initializer.extend(tensor for tensor in behind.graph.initializer if tensor.name not in held | made)
    for field in ("input", "output"):
        joined.graph.ClearField(field)
        getattr(joined.graph, field).extend(getattr(whole.graph, field))
    return joined


def left_to_host(model: Model, integer: onnx.ModelProto, graph: Graph) -> set[str]:
    """The nodes of the float network that the import of its integer form left to the host."""
    listed = {node.name for part in graph.host.parts.values() for node in part.nodes}
    names = {node.name for node in model.nodes}
    return {origin_name(node) for node in integer.graph.node if node.name in listed} & names
