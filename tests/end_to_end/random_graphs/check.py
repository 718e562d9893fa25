"""One random graph through compiler, device and ONNX Runtime."""

from dataclasses import dataclass

import numpy as np
import onnx

from compiler import compile_graph
from compiler.frontend import import_model
from host.device import Device
from host.reference import Reference
from host.verify import Verdict, Verifier

from .draw import Array
from .inputs import random_inputs

SOFTMAX_TOLERANCE = 1e-5  # the host computes Softmax in float32, in another order than ONNX Runtime


@dataclass(frozen=True)
class Failure:
    """Why a graph failed: ``kind`` is the same for failures of one sort, ``text`` says all."""

    kind: str
    text: str


def check(model: onnx.ModelProto, seed: int, device: Device) -> Failure | None:
    """None where every integer tensor and every output equals ONNX Runtime's, for the input of ``seed``."""
    try:
        graph = import_model(model)
        program = compile_graph(graph, device.config)
        inputs = random_inputs(model, seed)
        verdict = Verifier(graph, program, device).verify(inputs)
    except Exception as error:
        return Failure(type(error).__name__, f"{type(error).__name__}: {error}")
    if verdict.bytes_differing:
        return Failure("bytes", f"{verdict.bytes_differing} of {verdict.bytes_compared} bytes differ, "
                                f"the first: {verdict.first_difference}")
    return _check_outputs(model, inputs, verdict)


def _check_outputs(model: onnx.ModelProto, inputs: dict[str, Array], verdict: Verdict) -> Failure | None:
    """The outputs against the model as it was generated, before the front end touched it."""
    softened = {name for node in model.graph.node if node.op_type == "Softmax" for name in node.output}
    for name, wanted in Reference(model).run(inputs).items():
        got = verdict.outputs[name]
        if got.shape != wanted.shape or got.dtype != wanted.dtype:
            return Failure("output", f"output {name!r} is {got.dtype}{list(got.shape)}, "
                                     f"ONNX Runtime gives {wanted.dtype}{list(wanted.shape)}")
        tolerance = SOFTMAX_TOLERANCE if name in softened else 0
        if not np.allclose(got.astype(np.float64), wanted.astype(np.float64), rtol=tolerance, atol=tolerance):
            return Failure("output", f"output {name!r} differs from ONNX Runtime's on the model as generated")
    return None
