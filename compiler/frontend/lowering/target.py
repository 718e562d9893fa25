"""Finds the QuantizeLinear nodes that the result of a float operator reaches through activations and data movement.

Quantizing per tensor is an element-wise function, so it commutes with movement: the operator itself is computed on integers,
and the nodes between it and its QuantizeLinear are repeated on integers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from arrayloom.compiler.frontend.kinds import ACTIVATIONS, NOTHING, moves
from arrayloom.compiler.frontend.lowering.bounds import bounds_of
from arrayloom.compiler.frontend.lowering.rewrite import Rewrite
from arrayloom.compiler.frontend.lowering.scaling import factor_of
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.quantization import Quantization, of_quantizer
from arrayloom.compiler.frontend.remedies import quantize_between
from arrayloom.compiler.frontend.report import RefusalError


@dataclass(frozen=True)
class Step:
    """An operation between an integer result and its QuantizeLinear: bounds or movement.

    Attributes
    ----------
    value
        The float value that the operation produces in the model; it identifies steps that several ways share.
    node
        The movement to be repeated on integers; None for bounds.
    lo, hi
        The quantized bounds. Quantizing is monotone, so clipping to bounds and then quantizing equals quantizing and then
        clipping to the quantized bounds.
    """

    value: str
    node: onnx.NodeProto | None
    lo: int = 0
    hi: int = 0


@dataclass(frozen=True)
class Way:
    """The steps from a float result to `name`, the output of a QuantizeLinear."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Target:
    """An integer value that replaces a float result, for all QuantizeLinear nodes with the same quantization.

    Attributes
    ----------
    name
        The output of the first QuantizeLinear.
    quantization
        The quantization of the integer value.
    ways
        For each QuantizeLinear, the steps from the integer value to its output.
    """

    name: str
    quantization: Quantization
    ways: tuple[Way, ...]


def find_targets(rewrite: Rewrite, value: str) -> list[Target]:
    """Returns all integer values to which the float value `value` is quantized."""
    model = rewrite.model
    found: dict[Quantization, list[Way]] = {}
    for quantizer, nodes in _routes(rewrite, value):
        quantization = _unscaled(model, nodes, of_quantizer(model, quantizer))
        found.setdefault(quantization, []).append(Way(quantizer.output[0], _steps(model, nodes, quantization)))
    return [Target(ways[0].name, quantization, tuple(ways)) for quantization, ways in found.items()]


def check_dtypes(operands: Sequence[Quantization], target: Target) -> None:
    """Refuses operands and a result of different dtypes, for which ONNX Runtime has no kernels."""
    dtypes = {str(operand.dtype) for operand in operands}
    made = str(target.quantization.dtype)
    if dtypes == {made}:
        return
    if len(operands) == 1:
        reason, all_of_them = f"its input is {dtypes.pop()} and its output {made}", "both"
    else:
        reason, all_of_them = f"its operands and its result differ in dtype ({', '.join(sorted({*dtypes, made}))})", "all"
    raise RefusalError(reason, f"quantize {all_of_them} to the same dtype, as ONNX Runtime's kernels need")


def clamped(rewrite: Rewrite, target: Target) -> str:
    """Returns the name under which to compute the target's value.

    This is the target's own name, or that of a new value from which the steps emitted here compute the outputs of the
    QuantizeLinear nodes.
    """
    if len(target.ways) == 1 and not target.ways[0].steps:
        return target.name
    result = rewrite.fresh(f"{target.name}_unclamped" if _only_bounds(target) else f"{target.name}_result")
    made: dict[str, str] = {}
    for way in target.ways:
        _emit_way(rewrite, way, target.quantization, result, made)
    return result


def _only_bounds(target: Target) -> bool:
    return all(step.node is None for way in target.ways for step in way.steps)


def _routes(rewrite: Rewrite, value: str) -> Iterator[tuple[onnx.NodeProto, tuple[onnx.NodeProto, ...]]]:
    """Yields every QuantizeLinear that a float value reaches, with the nodes in between."""
    stack = _readings(rewrite.model, value, ())
    while stack:
        read, reader, nodes = stack.pop()
        if reader.op_type == "QuantizeLinear" and reader.input[0] == read:
            yield reader, nodes
            continue
        _check_passed(rewrite, read, reader)
        stack.extend(_readings(rewrite.model, reader.output[0], (*nodes, reader)))


def _readings(
    model: Model, value: str, nodes: tuple[onnx.NodeProto, ...]
) -> list[tuple[str, onnx.NodeProto, tuple[onnx.NodeProto, ...]]]:
    """Returns (value, reader, `nodes`) for each reader of the value, in reverse order."""
    if value in model.outputs:
        raise RefusalError(f"its result '{value}' leaves the model in float", "quantize the output")
    return [(value, reader, nodes) for reader in reversed(model.consumers.get(value, []))]


def _check_passed(rewrite: Rewrite, value: str, reader: onnx.NodeProto) -> None:
    """Refuses a reader of a float value that can neither be repeated on integers nor merged into their scale."""
    if (reader.op_type in ACTIVATIONS or moves(reader)) and list(reader.input).count(value) == 1:
        if reader.input[0] != value:
            raise RefusalError(
                f"its result '{value}' is an operand of {described(reader)}", "use constant bounds, indices and amounts"
            )
    elif factor_of(rewrite.model, reader) is None:
        raise RefusalError(
            f"its result '{value}' is not quantized before {described(reader)}", quantize_between(rewrite.report)
        )


def _unscaled(model: Model, nodes: Sequence[onnx.NodeProto], quantization: Quantization) -> Quantization:
    """Returns the quantization of a value before the factors in `nodes`, since (k * v) / s = v / (s / k)."""
    for node in nodes:
        factor = factor_of(model, node)
        if factor is not None:
            quantization = replace(quantization, scale=quantization.scale / factor)
    return quantization


def _steps(model: Model, nodes: Sequence[onnx.NodeProto], quantization: Quantization) -> tuple[Step, ...]:
    """Returns the nodes as steps on integers; nodes without effect are left out, and consecutive bounds are merged."""
    info = np.iinfo(quantization.dtype)
    steps: list[Step] = []
    done = 1.0  # product of the factors so far
    for node in nodes:
        factor = factor_of(model, node)
        if node.op_type in ACTIVATIONS:
            before = steps.pop() if steps and steps[-1].node is None else Step("", None, int(info.min), int(info.max))
            first, last = (quantization.quantize(bound / done) for bound in bounds_of(model, node))
            lo, hi = (min(max(bound, first), last) for bound in (before.lo, before.hi))
            if (lo, hi) != (info.min, info.max):
                steps.append(Step(node.output[0], None, lo, hi))
        elif factor is not None:
            done *= float(factor)
        elif node.op_type not in NOTHING:
            steps.append(Step(node.output[0], node))
    return tuple(steps)


def _emit_way(rewrite: Rewrite, way: Way, quantization: Quantization, result: str, made: dict[str, str]) -> None:
    """Emits the steps of one way on integers, and reuses those in `made`, which earlier ways emitted.

    Each float value is reached in one way only, so that it determines the steps before it.
    """
    value = result
    for place, step in enumerate(way.steps, start=1):
        if step.value not in made:
            name = way.name if place == len(way.steps) else rewrite.fresh(f"{step.value}_quantized")
            made[step.value] = _emit_step(rewrite, step, quantization, value, name)
        value = made[step.value]
    if value != way.name:
        rewrite.emit("Identity", f"{way.name}_copy", [value], way.name)


def _emit_step(rewrite: Rewrite, step: Step, quantization: Quantization, value: str, name: str) -> str:
    if step.node is not None:
        pad = rewrite.pad_constant(step.node, quantization, exact=False)
        return rewrite.repeat(step.node, value, pad, name)
    rewrite.clip(value, quantization, (step.lo, step.hi), name)
    return name
