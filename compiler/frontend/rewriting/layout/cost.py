"""Counts the operators of a model that the accelerator cannot compute or that cost additional passes."""

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.rewriting.layout.order import keeps_elements, mixes_channels, plain
from arrayloom.compiler.frontend.rewriting.layout.placement import host_values, is_misplaced, placed_value, stands_in_the_way

#: (Transposes inside the network that mix channels with rows or columns, plus misplaced operators; all Transposes).
Cost = tuple[int, int]


def cost_of(model: Model) -> Cost:
    """Returns the cost of a model as it is, counted in the same way as `Propagation.cost`."""
    mixing = transposes = 0
    left = host_values(model)
    for node in model.nodes:
        if model.is_constant(node.output[0]) or left.issuperset(node.output):
            continue
        mixing += is_misplaced(model, node, plain(len(model.shapes[placed_value(node)])))
        if node.op_type == "Transpose" and node.input[0] in model.producers:
            shape = model.shapes[node.input[0]]
            order = tuple(attribute(node, "perm", range(len(shape))[::-1]))
            moves = not keeps_elements(shape, order)
            mixing += mixes_channels(shape, order) + (moves and stands_in_the_way(model, node.input[0]))
            transposes += moves
    more = sum(max(0, _forms(model, value.name) - 1) for value in model.inputs)
    return mixing + more, transposes + more


def _forms(model: Model, name: str) -> int:
    """Returns in how many orders an input is read: in its own, and by each Transpose."""
    readers = model.consumers.get(name, [])
    transposes = sum(reader.op_type == "Transpose" for reader in readers)
    return transposes + int(transposes < len(readers))
