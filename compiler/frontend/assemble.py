"""Builds the integer graph from an integer model: imports inputs, islands, operators and outputs, each by its rule."""

import onnx

from arrayloom.compiler.frontend.attention import NORM, is_marked
from arrayloom.compiler.frontend.border import check_host_softmax, import_output, is_host_softmax
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.inputs import find_input, import_float_input, import_integer_inputs
from arrayloom.compiler.frontend.islands import import_island
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.operators import RULES
from arrayloom.compiler.frontend.operators.attention import layer_norm
from arrayloom.compiler.frontend.quantization import BYTES
from arrayloom.compiler.frontend.remedies import not_supported
from arrayloom.compiler.frontend.report import RefusalError, Report, operator_name
from arrayloom.compiler.graph import Graph


def assemble(model: Model, report: Report) -> Graph:
    """Returns the integer graph of an integer model.

    Raises
    ------
    UnsupportedError
        The lowering or this pass refused a node.
    """
    builder = Builder(model, report)
    import_integer_inputs(builder)
    for node in model.nodes:
        made = model.is_constant(node.output[0]) or node.output[0] in builder.claimed
        if not made and model.dtypes[node.output[0]] in BYTES:
            _import_node(builder, node)
    outputs = [import_output(builder, name) for name in model.outputs]
    _refuse_leftovers(builder)
    report.close()
    found = [output for output in outputs if output is not None]
    return Graph(builder.tensors, builder.ops, builder.inputs, found, model.proto, report.notes)


def _import_node(builder: Builder, node: onnx.NodeProto) -> None:
    try:
        if node.op_type == "QuantizeLinear":
            given = None if is_marked(node, NORM) else find_input(builder.model, node)
            if is_marked(node, NORM):
                layer_norm(builder, node)
            elif given is None:
                import_island(builder, node)
            else:
                import_float_input(builder, node, given)
        elif is_host_softmax(node):
            check_host_softmax(builder.model, node)
        elif operator_name(node) in RULES:
            RULES[operator_name(node)](builder, node)
        else:
            raise not_supported(node)
    except RefusalError as refusal:
        builder.report.refuse(node, refusal)
        for name in node.output:
            builder.stand_in(name)


def _refuse_leftovers(builder: Builder) -> None:
    """Refuses the nodes that compute on elements and were not imported by any rule."""
    model = builder.model
    before_refused = _before_refused(builder)
    for node in model.nodes:
        if model.is_constant(node.output[0]) or model.dtypes[node.output[0]] in BYTES:
            continue
        accounted = builder.claimed.issuperset(name for name in node.output if name)
        if node.op_type != "DequantizeLinear" and not accounted and id(node) not in before_refused:
            builder.report.refuse(node, not_supported(node))


def _before_refused(builder: Builder) -> set[int]:
    """Returns the nodes, by `id`, from which all paths lead to refused nodes; the entries of those are sufficient."""
    found: set[int] = set()
    for node in reversed(builder.model.nodes):
        readers = [reader for name in node.output for reader in builder.model.consumers.get(name, [])]
        if readers and all(id(reader) in found or builder.report.refused(reader) for reader in readers):
            found.add(id(node))
    return found
