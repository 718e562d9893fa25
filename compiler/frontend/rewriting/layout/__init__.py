"""Rearranges the dimensions of networks with channels last, which have Transposes around operators with channels first.

A Transpose only changes how a value is stored. The nodes after it work on the stored value until a Transpose meets its
inverse, the rows of a matrix product's weights can be permuted instead, or the end of the network is reached, where the host
does it. The host may also transpose inputs. Values do not change, and outputs keep their shapes.
"""

import onnx

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import RESHAPES
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import MICROSOFT
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.layout.cost import cost_of
from arrayloom.compiler.frontend.rewriting.layout.order import Order, inverse
from arrayloom.compiler.frontend.rewriting.layout.propagation import Propagation
from arrayloom.compiler.frontend.rewriting.layout.rules import MICROSOFT_RULES, RULES, Rule
from arrayloom.compiler.frontend.rewriting.layout.shapes import matrix_product, reshape

_ALL_RULES: dict[str, dict[str, Rule]] = {
    "": RULES | dict.fromkeys(RESHAPES, reshape) | dict.fromkeys(("MatMul", "Gemm", "QLinearMatMul"), matrix_product),
    MICROSOFT: MICROSOFT_RULES | {"QGemm": matrix_product},
}


def arrange_dimensions(model: Model, _report: Report, _options: ImportOptions) -> Model:
    """Returns the model with fewer Transposes that mix channels with rows or columns, or fewer misplaced operators.

    The model is returned unchanged if there is no such arrangement, or only with more Transposes inside the network, as the
    accelerator may not be able to compute an additional one.
    """
    before = cost_of(model)
    if before == (0, 0):
        return model
    best, orders = _propagated(model, {}), dict[str, Order]()
    for value in model.inputs:
        for order in _orders(model, value.name):
            trial = _propagated(model, orders | {value.name: order})
            if trial.cost < best.cost and trial.cost[1] <= before[1]:
                best, orders = trial, orders | {value.name: order}
    return best.finish() if best.cost < before and best.cost[1] <= before[1] else model


def _propagated(model: Model, input_orders: dict[str, Order]) -> Propagation:
    work = Propagation(model, input_orders)
    for node in model.nodes:
        if model.is_constant(node.output[0]):
            continue
        order = _order(model, node)
        if order is not None:
            work.transpose(node, order)
            continue
        if node.op_type == "QuantizeLinear" and work.merge(node):
            continue
        rule = _ALL_RULES.get(node.domain.replace("ai.onnx", ""), {}).get(node.op_type)
        moved = any(work.is_moved(name) for name in node.input)
        as_stored = moved and rule is not None and not work.is_host_work(node) and rule(work, node)
        if not as_stored:
            work.settle(node)
        work.note_placement(node, as_stored)
    return work


def _order(model: Model, node: onnx.NodeProto) -> Order | None:
    """Returns the order of a Transpose that keeps the batch first; None for other nodes."""
    if node.op_type != "Transpose":
        return None
    order = tuple(attribute(node, "perm", range(len(model.shapes[node.input[0]]))[::-1]))
    return order if order[0] == 0 else None


def _orders(model: Model, name: str) -> list[Order]:
    """Returns orders in which an input may be stored.

    These are those of the model's Transposes with the same rank, their inverses, and the last dimension first.
    """
    rank = len(model.shapes[name])
    found = [order for node in model.nodes if (order := _order(model, node)) is not None and len(order) == rank]
    last_first = [(0, rank - 1, *range(1, rank - 1))] if rank > 2 else []
    return [order for order in dict.fromkeys([*found, *map(inverse, found), *last_first]) if name in model.consumers]
