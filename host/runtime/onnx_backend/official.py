"""The official node tests of ONNX: which run on the accelerator, which need the host, and why the others do not run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler import compile_graph
from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend.known import computes
from arrayloom.compiler.frontend.options import HostPolicy, ImportOptions
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.onnx_backend.backend import ArrayloomBackend
from arrayloom.host.runtime.onnx_backend.importing import import_any
from arrayloom.host.runtime.onnx_backend.operands import freeze, parameters
from arrayloom.host.runtime.onnx_backend.quantized_form import FIRST_OPSET, behind_a_layer, between_quantizers
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import load_config
from arrayloom.isa.errors import ArrayloomError

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
CONFIG = "tiny"
MOST_STEPS = 1.01       # between the emulator and the float operator on the same quantized operands
SMALLEST_RATIO = 20.0   # dB, between the emulator and the official result
JUMPING = ("Round", "Floor", "Ceil", "Sign", "ArgMax", "ArgMin", "TopK", "NonMaxSuppression", "Hardmax",
           "ThresholdedRelu")    # discontinuous functions: one step of an operand changes their result by more

#: Operators that typically end networks, in addition to those that the accelerator computes.
TAILS = ("ArgMax", "ArgMin", "TopK", "LogSoftmax", "LpNormalization", "NonMaxSuppression", "Hardmax", "ReduceL1", "ReduceL2",
         "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "Sum",
         "Mean", "CumSum", "Softmax", "InstanceNormalization", "LayerNormalization", "LRN", "GroupNormalization",
         "GridSample")

Array = NDArray[Any]
Values = dict[str, Array]


class Outcome(StrEnum):
    """The outcome of a test."""

    EXACT = "gives the official bytes"
    ACCELERATOR = "quantized, on the accelerator alone"
    COARSE = "quantized and exact, but 8 bits are too few for its range"
    TAIL = "in float on the host, after a quantized layer"
    REFUSED = "refused"
    DIFFERENT = "gives other values"


@dataclass(frozen=True)
class Result:
    """The outcome of a test, and the reason of a refusal."""

    name: str
    outcome: Outcome
    reason: str = ""


def names() -> list[str]:
    """The tests whose operators are all supported by Arrayloom, or typically end networks."""
    return [folder.name for folder in sorted(DATA.iterdir()) if _is_known(onnx.load(folder / "model.onnx"))]


def _is_known(model: onnx.ModelProto) -> bool:
    return all(computes(node) or (node.op_type in TAILS and not node.domain) for node in model.graph.node)


def run(name: str) -> Result:
    """The outcome of a test: unchanged if it has a quantized operator or 8-bit types, else in quantized form."""
    model, folder = onnx.load(DATA / name / "model.onnx"), DATA / name
    kinds = {value.type.tensor_type.elem_type for value in model.graph.input}
    quantized = any("QuantizeLinear" in node.op_type or "QLinear" in node.op_type for node in model.graph.node)
    if quantized or kinds & {onnx.TensorProto.UINT8, onnx.TensorProto.INT8}:
        return _run_as_it_is(name, model, folder)
    return _run_quantized(name, model, folder)


def _run_as_it_is(name: str, model: onnx.ModelProto, folder: Path) -> Result:
    try:
        prepared = ArrayloomBackend.prepare(model, config=CONFIG)
        for inputs, expected in _samples(folder):
            got = prepared.run(inputs)
            if any(not np.array_equal(one, other) for one, other in zip(got, expected, strict=True)):
                return Result(name, Outcome.DIFFERENT)
    except ArrayloomError as error:
        return Result(name, Outcome.REFUSED, _reason(error))
    return Result(name, Outcome.EXACT)


def _run_quantized(name: str, model: onnx.ModelProto, folder: Path) -> Result:
    if any(not value.type.HasField("tensor_type") for value in (*model.graph.input, *model.graph.output)):
        return Result(name, Outcome.REFUSED, "sequences or optional values")
    given, expected = next(_samples(folder), ([], []))
    named = dict(zip([value.name for value in model.graph.input], given, strict=False))
    frozen_names = parameters(model)
    inputs = {key: value for key, value in named.items() if key not in frozen_names}
    outputs = dict(zip([value.name for value in model.graph.output], expected, strict=True))
    if reason := _no_floats(model, inputs, outputs):
        return Result(name, Outcome.REFUSED, reason)
    frozen = freeze(model, {key: named[key] for key in frozen_names if key in named})
    try:
        form = between_quantizers(frozen, inputs, outputs)
        return Result(name, _outcome(form, inputs, outputs, HostPolicy.NONE))
    except ArrayloomError as error:
        reason = _reason(error)
    try:
        return Result(name, _outcome(behind_a_layer(frozen, inputs), inputs, outputs, HostPolicy.ANY))
    except ArrayloomError:
        return Result(name, Outcome.REFUSED, reason)


def _no_floats(model: onnx.ModelProto, inputs: Values, outputs: Values) -> str:
    """Why a test has no quantized form; empty if it has one."""
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < FIRST_OPSET:
        return f"operator set below {FIRST_OPSET}, which has no QuantizeLinear"
    if not inputs or any(not isinstance(value, np.ndarray) or value.dtype != np.float32 for value in inputs.values()):
        return "operands that are not float32"
    if any(value.size == 0 for value in (*inputs.values(), *outputs.values())):
        return "tensors without elements"
    return ""


def _outcome(model: onnx.ModelProto, inputs: Values, outputs: Values, policy: HostPolicy) -> Outcome:
    """The outcome of a quantized form.

    Every byte must be ONNX Runtime's on the lowered model, and the results near those of the form run in float.
    """
    imported, leading = import_any(model, ImportOptions(policy))
    device = open_device("emulator", load_config(CONFIG))
    verifier = Verifier(imported, compile_graph(imported.graph, device.config), device)
    shapes = {port.name: (1, *port.shape) for port in imported.graph.model_inputs}
    count = 1 if leading else len(next(iter(inputs.values())))
    found: list[Values] = []
    for image in range(count):
        values = {key: value if leading else value[image : image + 1] for key, value in inputs.items()}
        verdict = verifier.verify({key: value.reshape(shapes[key]) for key, value in values.items()})
        if not verdict.equal:
            return Outcome.DIFFERENT
        found.append(verdict.outputs)
    results = {key: np.concatenate([values[key] for values in found]) for key in outputs}
    results = {key: value[0] if leading else value for key, value in results.items()}
    given = Session(model, optimize=False).run(inputs)
    if not all(_near(results[key], given[key]) for key in outputs):
        return Outcome.DIFFERENT
    jumps = any(node.op_type in JUMPING for node in model.graph.node)
    if not jumps and not all(_resembles(results[key], outputs[key]) for key in outputs):
        return Outcome.COARSE
    return Outcome.ACCELERATOR if policy is HostPolicy.NONE else Outcome.TAIL


def _near(got: Array, given: Array) -> bool:
    """Whether a result is within one step of the float operator's on the same operands."""
    if got.shape != given.shape or got.dtype != given.dtype:
        return False
    if got.dtype != np.float32:
        return bool(np.array_equal(got, given))
    return bool(np.all(np.abs(got - given) <= MOST_STEPS * _step(given)))


def _resembles(got: Array, official: Array) -> bool:
    """Whether a result is near the official one."""
    if got.dtype != np.float32:
        return bool(np.array_equal(got, official))
    noise, signal = float(((got - official) ** 2).mean()), float((official**2).mean())
    return noise <= signal * 10 ** (-SMALLEST_RATIO / 10) or noise <= _step(official) ** 2


def _step(values: Array) -> float:
    """One step: 1/255 of the range of the values including 0."""
    return max(float(np.ptp(np.append(values, 0))) / 255, 1e-5)


def _samples(folder: Path) -> Iterator[tuple[list[Array], list[Array]]]:
    for sample in sorted(folder.glob("test_data_set_*")):
        yield _tensors(sample, "input"), _tensors(sample, "output")


def _tensors(sample: Path, kind: str) -> list[Array]:
    """The tensors of a sample; empty if one is a sequence or an optional value."""
    files = sorted(sample.glob(f"{kind}_*.pb"), key=lambda file: int(file.stem.split("_")[1]))
    return [onnx.numpy_helper.to_array(onnx.load_tensor(file)) for file in files]


def _reason(error: ArrayloomError) -> str:
    """The common part of all messages of one kind: without names, shapes and numbers."""
    if isinstance(error, UnsupportedError):
        text = error.cause or error.nodes[0].reason
    elif "ONNX Runtime cannot" in str(error):
        return "a shape or dtype that ONNX Runtime does not run one image at a time"
    else:
        text = str(error).splitlines()[0]
    general = re.sub(r"\w+ '[^']*'|'[^']*'|\([^)]*\)|\[[^]]*\]", "...", text.split("; ")[0])
    numbered = re.sub(r"\s+", " ", re.sub(r"\b\d+\b", "n", general))
    return re.sub(r"^(\.\.\. )+(gives|has)", r"it \2", numbered).strip()
