"""Lowers sums, differences, products, maxima and minima of quantized values to integer operators.

A node whose operands are one value and constants, or functions of at most two values, stays float: it is part of an island,
which becomes a lookup table.
"""

from collections.abc import Sequence

import numpy as np
import onnx

from arrayloom.compiler.frontend.kinds import ACTIVATIONS, FUNCTIONS, NOTHING, moves
from arrayloom.compiler.frontend.lowering.exact import extreme, negative, relabelled
from arrayloom.compiler.frontend.lowering.mean_sums import SIGNS, emit_mean_sum, mean_sources, means_of
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite, Source, quant_name
from arrayloom.compiler.frontend.lowering.scaling import factor_of
from arrayloom.compiler.frontend.lowering.target import Target, check_dtypes, clamped, find_targets
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import MICROSOFT
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.tabulate import differs_between_positions


def lower_add(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers two DequantizeLinear, Add, [Relu, Clip], QuantizeLinear to QLinearAdd, [Clip]."""
    means = means_of(rewrite.model, node)
    if means is not None:
        _lower_means(rewrite, node, means, None)
    elif not _stays_float(rewrite, node):
        _emit(rewrite, node, "QLinearAdd", [rewrite.source(name) for name in node.input])


def lower_mul(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers two DequantizeLinear, Mul, [Relu, Clip], QuantizeLinear to QLinearMul, [Clip]."""
    if not _stays_float(rewrite, node):
        _emit(rewrite, node, "QLinearMul", [rewrite.source(name) for name in node.input])


def lower_sub(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers two DequantizeLinear, Sub, [Relu, Clip], QuantizeLinear to QLinearAdd of a and the negative of b, [Clip]."""
    distance, means = _distance(rewrite.model, node), means_of(rewrite.model, node)
    if means is not None:
        _lower_means(rewrite, node, means, distance)
        return
    if distance is None and _stays_float(rewrite, node):
        return
    a, b = (rewrite.source(name) for name in node.input)
    if distance is None:
        _emit(rewrite, node, "QLinearAdd", [a, negative(rewrite, b)])
        return
    negatives = negative(rewrite, a), negative(rewrite, b)
    for target in find_targets(rewrite, distance.output[0]):
        check_dtypes([a.quantization, b.quantization], target)
        names = [rewrite.fresh(f"{target.name}_difference") for _ in range(2)]
        for name, operands in zip(names, ((a, negatives[1]), (b, negatives[0])), strict=True):
            _emit_to(rewrite, node, "QLinearAdd", operands, target, name)
        extreme(rewrite, node, "Max", names, clamped(rewrite, target))


def _lower_means(rewrite: Rewrite, node: onnx.NodeProto, means: list[onnx.NodeProto],
                 distance: onnx.NodeProto | None) -> None:
    """Lowers two means over height and width, [Reshape], Add or Sub, [Abs], QuantizeLinear to a QLinearConv over both
    images; with Abs, to two of them with opposite signs and Max."""
    sources, signs = mean_sources(rewrite, means), SIGNS[node.op_type]
    maps = rewrite.model.shapes[means[0].input[0]][1:]
    for target in find_targets(rewrite, (distance or node).output[0]):
        check_dtypes([source.quantization for source in sources], target)
        output = clamped(rewrite, target)
        if distance is None:
            emit_mean_sum(rewrite, node, sources, signs, target, output, maps)
            continue
        names = [rewrite.fresh(f"{target.name}_difference") for _ in range(2)]
        for name, chosen in zip(names, (signs, signs[::-1]), strict=True):
            emit_mean_sum(rewrite, node, sources, chosen, target, name, maps)
        extreme(rewrite, node, "Max", names, output)


def lower_extreme(rewrite: Rewrite, node: onnx.NodeProto) -> None:
    """Lowers DequantizeLinear, Max or Min, [Relu, Clip], QuantizeLinear to Max or Min of requantized operands, [Clip]."""
    model = rewrite.model
    if sum(not model.is_constant(name) for name in node.input) < 2 or _is_part_of_island(rewrite, node):
        return
    sources = {name: rewrite.source(name) for name in node.input if not model.is_constant(name)}
    constants = [name for name in node.input if model.is_constant(name)]
    for target in find_targets(rewrite, node.output[0]):
        check_dtypes([source.quantization for source in sources.values()], target)
        names = [requantized(rewrite, node, source, target) for source in sources.values()]
        names += [_constant_bound(rewrite, name, target) for name in constants]
        extreme(rewrite, node, node.op_type, names, clamped(rewrite, target))


def requantized(rewrite: Rewrite, node: onnx.NodeProto, source: Source, target: Target) -> str:
    """Returns the name of the integers of `source` in the quantization of a target."""
    if source.quantization == target.quantization:
        return source.name
    name = rewrite.fresh(f"{source.name}_requantized")
    inputs = [*rewrite.parameters(name, target.quantization), *rewrite.operand(source)]
    rewrite.emit("QLinearConcat", quant_name(node), inputs, name, domain=MICROSOFT, axis=1)
    return name


def _constant_bound(rewrite: Rewrite, value: str, target: Target) -> str:
    constant = rewrite.model.constants[value]
    if constant.size != 1:
        raise RefusalError(
            f"its operand '{value}' is a constant of several values, in addition to two activations",
            "split the node in two: one for the activations, one for the constant",
            f"shape {list(constant.shape)}",
        )
    byte = target.quantization.quantize(float(constant.reshape(())))
    return rewrite.constant(f"{value}_quantized", np.array(byte, target.quantization.dtype))


def _emit(rewrite: Rewrite, node: onnx.NodeProto, operator: str, sources: Sequence[Source]) -> None:
    for target in find_targets(rewrite, node.output[0]):
        operands = [relabelled(rewrite, source, target.quantization.dtype) for source in sources]
        check_dtypes([source.quantization for source in operands], target)
        _emit_to(rewrite, node, operator, operands, target, clamped(rewrite, target))


def _emit_to(rewrite: Rewrite, node: onnx.NodeProto, operator: str, sources: Sequence[Source], target: Target,
             output: str) -> None:
    inputs = [name for source in sources for name in rewrite.operand(source)]
    inputs += rewrite.parameters(output, target.quantization)
    rewrite.emit(operator, quant_name(node), inputs, output, domain=MICROSOFT)


def _stays_float(rewrite: Rewrite, node: onnx.NodeProto) -> bool:
    """Whether the node is part of an island: a function of one value and constants, or of two values in float.

    Two kinds of nodes are not part of one: a sum or product with a quantized constant, which ONNX Runtime computes on
    integers unless both are int8 (it converts activations to uint8 where it can, but not constants), and a quantized
    constant that differs between positions, which a lookup table cannot express.
    """
    model = rewrite.model
    constant = [name for name in node.input if model.is_constant(name)]
    if not constant:
        return _is_part_of_island(rewrite, node)
    if len(constant) == len(node.input) or not _is_on_integers(rewrite, constant[0]):
        return True
    if differs_between_positions(model.constants[constant[0]], len(model.shapes[node.output[0]])):
        return False
    other = next(name for name in node.input if name not in constant)
    if model.constants[constant[0]].size == 1 and rewrite.source(constant[0]).quantization.dtype == np.int8:
        return True
    return node.op_type == "Sub" or not (_is_on_integers(rewrite, other) and _is_quantized_next(model, node.output[0]))


def _is_quantized_next(model: Model, value: str) -> bool:
    """Whether all nodes between a value and its QuantizeLinear nodes can be repeated on integers."""
    front = [value]
    while front:
        value = front.pop()
        readers = [reader for reader in model.consumers.get(value, []) if reader.op_type != "QuantizeLinear"]
        passed = all(r.op_type in ACTIVATIONS or moves(r) or factor_of(model, r) is not None for r in readers)
        if value in model.outputs or not passed:
            return False
        front.extend(reader.output[0] for reader in readers)
    return True


def _is_on_integers(rewrite: Rewrite, name: str) -> bool:
    """Whether a float value, possibly bounded, represents integers that were quantized per tensor."""
    try:
        rewrite.source(name)
    except RefusalError:
        return False
    return True


def _is_part_of_island(rewrite: Rewrite, node: onnx.NodeProto) -> bool:
    """Whether there are only element-wise functions, and at least one, between the node and integers on either side."""
    model = rewrite.model
    given = [name for name in node.input if not model.is_constant(name)]
    roots = [_roots(rewrite, name) for name in given]
    if any(not found for found in roots):
        return False
    direct = all(rewrite.stands_for_integers(name) for name in given)
    bounded = len(set().union(*roots)) > 1 and all(_is_on_integers(rewrite, name) for name in given)
    return _goes_to_integers(model, node, direct=direct or bounded, movement=len(set().union(*roots)) == 1)


def _roots(rewrite: Rewrite, value: str) -> set[str]:
    """Returns the integers from which element-wise functions alone compute a float value; empty for any other value.

    A moved function of one integer value is itself such a root, since its elements are at other positions.
    """
    model = rewrite.model
    found: dict[str, onnx.NodeProto] = {}
    front = [value]
    while front:
        name = front.pop()
        if not name or name in found or model.is_constant(name):
            continue
        node = model.producers.get(name)
        if node is None:
            return set()
        found[name] = node
        if node.op_type == "DequantizeLinear" or rewrite.is_settled(name):
            continue
        if node.op_type not in FUNCTIONS + NOTHING and not moves(node):
            return set()
        front.extend(node.input[:1] if moves(node) else node.input)
    roots: dict[str, set[str]] = {}
    for name, node in sorted(found.items(), key=lambda entry: model.places[id(entry[1])]):
        if node.op_type == "DequantizeLinear":
            roots[name] = {node.input[0]}
        elif rewrite.is_settled(name):
            roots[name] = {name}
        elif node.op_type in FUNCTIONS + NOTHING:
            roots[name] = set[str]().union(*(roots[operand] for operand in node.input if operand in roots))
        elif len(roots[node.input[0]]) == 1:
            roots[name] = {name}
        else:
            return set()
    return roots[value]


def _goes_to_integers(model: Model, node: onnx.NodeProto, direct: bool, movement: bool) -> bool:
    """Whether the node's result is only quantized, through functions that have no other operands.

    If `direct` is set, the operands are integers, and a node with only Relu and Clip before QuantizeLinear is left to an
    integer operator. If `movement` is set, movement may lie in between, since everything is a function of one value.
    """
    reached, functions = {node.output[0]}, not direct
    for reader in model.nodes[model.places[id(node)] + 1 :]:
        if reached.isdisjoint(reader.input) or reader.op_type == "QuantizeLinear":
            continue
        moved = movement and moves(reader)
        operands = [name for name in reader.input if name and not model.is_constant(name)]
        if not (reader.op_type in FUNCTIONS + NOTHING or moved) or not reached.issuperset(operands):
            return False
        functions = functions or not (moved or reader.op_type in ACTIVATIONS + NOTHING or factor_of(model, reader))
        reached.add(reader.output[0])
    return functions and reached.isdisjoint(model.outputs)


def _distance(model: Model, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """Returns the Abs that is the only reader of a difference of two values, or None."""
    reader = model.only_reader(node.output[0])
    if reader is None or reader.op_type != "Abs" or any(model.is_constant(name) for name in node.input):
        return None
    return reader
