"""Where the result of a float operator goes: through activations and data movement into QuantizeLinear nodes.

Quantizing per tensor is a function of one element, so that it commutes with movement: the operator is computed on
integers at once, and what lies between it and its QuantizeLinear is repeated on integers.
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
    """What happens to an integer result on its way: bounds, or movement.

    Attributes
    ----------
    value
        The float value after it in the model, which identifies steps shared by several ways.
    node
        The node to be repeated on integers; None for bounds.
    lo, hi
        The quantized bounds. Quantizing is monotone, so that clipping and then quantizing equals quantizing
        and then clipping to the quantized bounds.
    """

    value: str
    node: onnx.NodeProto | None
    lo: int = 0
    hi: int = 0


@dataclass(frozen=True)
class Way:
    """From a float result to the output `name` of a QuantizeLinear."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Target:
    """An integer value to be computed in place of a float result, for all QuantizeLinear nodes that quantize alike.

    Attributes
    ----------
    name
        The first QuantizeLinear's output.
    quantization
        Of the integer value.
    ways
        How each QuantizeLinear's output follows from that value.
    """

    name: str
    quantization: Quantization
    ways: tuple[Way, ...]


def find_targets(rewrite: Rewrite, value: str) -> list[Target]:
    """All integer values that the float value `value` is quantized to."""
    model = rewrite.model
    found: dict[Quantization, list[Way]] = {}
    for quantizer, nodes in _routes(rewrite, value):
        quantization = _unscaled(model, nodes, of_quantizer(model, quantizer))
        found.setdefault(quantization, []).append(Way(quantizer.output[0], _steps(model, nodes, quantization)))
    return [Target(ways[0].name, quantization, tuple(ways)) for quantization, ways in found.items()]


def check_dtypes(operands: Sequence[Quantization], target: Target) -> None:
    """Refuse operands and a result of several dtypes, for which ONNX Runtime has no kernels."""
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
    """The name under which to compute the target's value: its own, or that of what the steps emitted here begin with."""
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
    """Every QuantizeLinear after a float value, with the nodes on the way to it."""
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
    """The value with each node that reads it, the last first, and the nodes on the way to it."""
    if value in model.outputs:
        raise RefusalError(f"its result '{value}' leaves the model in float", "quantize the output")
    return [(value, reader, nodes) for reader in reversed(model.consumers.get(value, []))]


def _check_passed(rewrite: Rewrite, value: str, reader: onnx.NodeProto) -> None:
    """Refuse a reader of a float value whose work cannot be done after the operator, on integers or by their scale."""
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
    """The quantization of a value that `nodes` multiply before it is quantized: k * v / s is v / (s / k)."""
    for node in nodes:
        factor = factor_of(model, node)
        if factor is not None:
            quantization = replace(quantization, scale=quantization.scale / factor)
    return quantization


def _steps(model: Model, nodes: Sequence[onnx.NodeProto], quantization: Quantization) -> tuple[Step, ...]:
    """The nodes as steps on integers, without those that do nothing there; bounds in a row are one."""
    info = np.iinfo(quantization.dtype)
    steps: list[Step] = []
    done = 1.0  # what the value was multiplied by so far
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
    """Repeat the steps of one way on integers; what an earlier way made already is taken from `made`.

    One way leads to each float value, so the value determines which steps come before it.
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
