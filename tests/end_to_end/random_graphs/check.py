"""One random graph through compiler, device and ONNX Runtime."""

import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from plans import assert_plan_equals_emulator, random_integers

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import load_config
from arrayloom.sim.plan import Library

from .draw import Array
from .generator import generate
from .inputs import random_inputs
from .shrink import shrink

SOFTMAX_TOLERANCE = 1e-5  # the host computes Softmax in float32, in another order than ONNX Runtime


@dataclass(frozen=True)
class Failure:
    """Why a graph failed: ``kind`` is the same for similar failures, ``text`` has all details."""

    kind: str
    text: str


def report(seed: int, device: Device, folder: Path) -> str | None:
    """None for a graph that passes, else the report for a developer: seed, reason and the file of the shrunk graph."""
    model = generate(seed)
    failure = check(model, seed, device)
    if failure is None:
        return None

    def fails(candidate: onnx.ModelProto) -> bool:
        found = check(candidate, seed, device)
        return found is not None and found.kind == failure.kind

    smaller, path = shrink(model, fails), folder / f"random_graph_{seed}.onnx"
    onnx.save(smaller, path)
    shrunk = check(smaller, seed, device)
    nodes = ", ".join(node.op_type for node in smaller.graph.node)
    return (f"seed {seed} on {device.name} {device.config.name}: {failure.text}\n"
            f"  shrunk to {path} ({nodes}): {shrunk.text if shrunk else 'passes when run again'}")


def check_share(seed: int, config: str, share: int) -> Failure | None:
    """Checks a seed's graph on the emulator of ``config``; one in ``share`` also on the RTL, none if ``share`` is 0."""
    backends = ("emulator", "rtl") if share and seed % share == 0 else ("emulator",)
    model = generate(seed)
    failures = (check(model, seed, _device(backend, config)) for backend in backends)
    return next((failure for failure in failures if failure is not None), None)


def check_plans(seed: int, config: str) -> Failure | None:
    """Compares the plan of a seed's graph with the emulator at every write, in each library, for two images."""
    try:
        program = compile_graph(import_model(generate(seed)).graph, load_config(config))
        for threads, library in enumerate(Library, 1):
            assert_plan_equals_emulator(program, random_integers(program, 2, seed), library, threads)
    except Exception as error:
        return Failure(type(error).__name__, "".join(traceback.format_exception(error)[-2:]))
    return None


@cache
def _device(backend: str, config: str) -> Device:
    return open_device(backend, load_config(config))


def check(model: onnx.ModelProto, seed: int, device: Device) -> Failure | None:
    """None if every integer tensor and every output equals ONNX Runtime's for the input of ``seed``."""
    try:
        imported = import_model(model, DEFAULT_OPTIONS.of(device.config))
        program = compile_graph(imported.graph, device.config)
        inputs = random_inputs(model, seed)
        verdict = Verifier(imported, program, device).verify(inputs)
    except Exception as error:  # a refusal is a failure like a crash: Arrayloom supports every generated graph
        return Failure(type(error).__name__, "".join(traceback.format_exception(error)[-2:]))
    if verdict.bytes_differing:
        return Failure("bytes", f"{verdict.bytes_differing} of {verdict.bytes_compared} bytes differ, "
                                f"the first: {verdict.first_difference}")
    return _check_outputs(model, inputs, verdict)


def _check_outputs(model: onnx.ModelProto, inputs: dict[str, Array], verdict: Verdict) -> Failure | None:
    """Compares the outputs with the generated model, before the front end's changes."""
    if any(node.op_type == "LayerNormalization" for node in model.graph.node):
        return None  # in float, ONNX Runtime's own differs from the definition in a byte of 10**5
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
