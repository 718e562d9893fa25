"""One random network through import, interpreter, host and emulator, compared with ONNX Runtime."""

import re
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx
from interpreter import interpret
from networks import Array

from arrayloom.compiler import compile_graph
from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportedModel, import_model
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.compiler.graph import Graph, GraphOutput
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.host_parts import HostParts
from arrayloom.host.runtime.model_reference import ModelReference
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import load_config

from .generator import Case, generate


@dataclass(frozen=True)
class Limits:
    """Largest distance of a result from the original network: one of the two limits must hold.

    Attributes
    ----------
    ratio
        Least signal-to-noise ratio, in dB.
    steps
        Largest median distance, in 255ths of the range of the result and 0.
    """

    ratio: float
    steps: float


EXACT = Limits(20.0, 1.5)
ROUNDED = Limits(5.0, 25.0)     # for rounded values on estimated ranges

#: Parts of the reasons for which a network may be refused.
PERMITTED = (
    "the padding value lies between two steps of the scale",
    "functions that differ between channels are applied to channels that were moved before",
    "padding becomes a different value in each channel",
    "channels are applied to a tensor of shape",
    "is combined with the constant",
    "and moves them by",
    "is outside ONNX Runtime's range",
)


@dataclass(frozen=True)
class Failure:
    """Why a network failed: ``kind`` is the same for similar failures, ``text`` has all details."""

    kind: str
    text: str


def check(seed: int, on_device: bool = False) -> Failure | None:
    """None for a network that passes; ``on_device`` also compiles it for the emulator."""
    try:
        case = generate(seed)
        imported = import_model(case.model, case.options)
        return _check_imported(case, imported, on_device)
    except UnsupportedError as error:
        if _is_permitted(error):
            return None
        first = error.nodes[0]
        return Failure(f"refused: {first.operator}: {_without_names(first.reason)}", str(error))
    except Exception as error:      # any other error is a fault of the compiler
        return Failure(f"{type(error).__name__}: {_without_names(str(error))[:120]}", traceback.format_exc())


def check_share(seed: int, share: int) -> Failure | None:
    """Checks one network; one in ``share`` networks is also compiled for the emulator, none if ``share`` is 0."""
    return check(seed, on_device=bool(share) and seed % share == 0)


def _without_names(text: str) -> str:
    return re.sub(r"\d+", "n", re.sub(r"'[^']*'", "...", text))


def _check_imported(case: Case, imported: ImportedModel, on_device: bool) -> Failure | None:
    if strange := _between_integers(case.model, imported):
        refusal = _on_device_alone(case)
        return None if refusal and _is_permitted(refusal) else _forced_to_host(refusal, strange)
    expected = ModelReference(imported).run_all(case.inputs)
    host = HostParts(imported.graph.host)
    before = host.head(dict(case.inputs))
    values = interpret(imported.graph, before)
    for name, value in values.items():
        wanted = expected.integer.get(name)
        if wanted is not None and not np.array_equal(wanted.ravel(), value.ravel()):
            return Failure("other bytes of the interpreter", f"tensor {name}")
    outputs = {port.name: _after_steps(port, values[port.tensor], imported.graph) for port in imported.graph.outputs}
    after = host.tail(before | outputs)
    for name, wanted in expected.host["tail"].items():
        if not np.array_equal(wanted, after[name], equal_nan=wanted.dtype.kind == "f"):
            return Failure("other bytes of the host", f"value {name}")
    if on_device and (failure := _check_device(case, imported)):
        return failure
    if any(map(_counts_differently, case.model.graph.node)):
        return None
    return _check_original(case, after, ROUNDED if imported.graph.inserted_roundings else EXACT)


def _after_steps(port: GraphOutput, value: Array, graph: Graph) -> Array:
    """An output of the accelerator after the host's steps, [1, ...]."""
    result = value.reshape(1, *graph.tensors[port.tensor].onnx_shape)
    for step in port.tail:
        result = step.apply(result)
    return result


def _check_device(case: Case, imported: ImportedModel) -> Failure | None:
    config = load_config("tiny")
    verifier = Verifier(imported, compile_graph(imported.graph, config), open_device("emulator", config))
    verdict = verifier.verify({port.name: case.inputs[port.name] for port in imported.graph.model_inputs})
    return None if verdict.equal else Failure("other bytes of the emulator", str(verdict.first_difference))


def _on_device_alone(case: Case) -> UnsupportedError | None:
    """The refusal when nothing may run on the host."""
    try:
        import_model(case.model, replace(case.options, host=HostPolicy.NONE))
    except UnsupportedError as error:
        return error
    return None


def _is_permitted(error: UnsupportedError) -> bool:
    """Whether the refusal has a permitted reason, from which others may follow."""
    return any(known in entry.reason for entry in error.nodes for known in PERMITTED)


def _forced_to_host(refusal: UnsupportedError | None, operators: list[str]) -> Failure:
    """Explains why nodes with these operators, between integers, run on the host."""
    if refusal is None:
        return Failure("on the host: nothing is refused", str(operators))
    causes = [entry for entry in refusal.nodes if "so the host would have to compute it" not in entry.reason]
    entries = causes or refusal.nodes
    reason = f"{entries[0].operator}: {_without_names(entries[0].reason)}"
    return Failure(f"on the host: {reason}", f"nodes between integers that the host computes: {operators} {refusal}")


def _between_integers(model: onnx.ModelProto, imported: ImportedModel) -> list[str]:
    """Operators on the host that have integers before and after them in the original network."""
    listed = {node.name: node.op for part in imported.graph.host.parts.values() for node in part.nodes}
    edges = [(set(node.input), set(node.output), node) for node in model.graph.node]
    active = _reached(edges, {value.name for value in model.graph.input})
    integer = [edge for edge in edges
               if edge[2].op_type in ("QuantizeLinear", "DequantizeLinear") and edge[2].input[0] in active]
    after = _reached(edges, {node.input[0] for _, _, node in integer})
    before = _reached([(made, given, node) for given, made, node in edges], set().union(*(made for _, made, _ in integer)))
    return [listed[node.name] for given, made, node in edges if node.name in listed and given & after and made & before]


def _reached(edges: Iterable[tuple[set[str], set[str], onnx.NodeProto]], seeds: set[str]) -> set[str]:
    """The seeds and all values reachable from them."""
    edges, found, size = list(edges), set(seeds), -1
    while len(found) != size:
        size = len(found)
        found.update(*(made for given, made, _ in edges if given & found))
    return found - {""}


def _counts_differently(node: onnx.NodeProto) -> bool:
    """Whether ONNX Runtime's integer kernel divides by another element count than its float kernel, a known difference."""
    given = {attribute.name: attribute.i for attribute in node.attribute}
    return node.op_type == "AveragePool" and bool(given.get("ceil_mode")) and bool(given.get("count_include_pad"))


def _check_original(case: Case, values: Mapping[str, Array], limits: Limits) -> Failure | None:
    """Close to the original network, run node by node in float."""
    session = Session(case.model, optimize=False)
    suppressed = any(node.op_type == "NonMaxSuppression" for node in case.model.graph.node)
    for name, wanted in session.run({name: case.inputs[name] for name in session.inputs}).items():
        got = values[name]
        if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
            if not suppressed:
                return Failure("other shape or dtype", f"{name}: {got.dtype}{got.shape}, not {wanted.dtype}{wanted.shape}")
        elif wanted.dtype != np.int64 and (text := distance(wanted, got, limits)):
            return Failure("far from the network as given", f"output {name}: {text}")
    return None


def distance(wanted: Array, got: Array, limits: Limits = EXACT) -> str | None:
    """Describes how a result is far off: a low signal-to-noise ratio, and many steps."""
    integer = wanted.dtype.kind in "iu"
    wanted, got = wanted.astype(np.float64), got.astype(np.float64)
    step = 1.0 if integer else max(float(np.ptp(np.append(wanted, 0))), 1e-6) / 255
    error = np.abs(wanted - got)
    noise, signal = float((error**2).mean()), float(wanted.var())
    ratio = 10 * np.log10(signal / noise) if noise and signal else -np.inf if noise else np.inf
    steps = float(np.median(error)) / step
    if ratio < limits.ratio and steps > limits.steps:
        return f"{ratio:.1f} dB, a median of {steps:.1f} steps"
    return None
