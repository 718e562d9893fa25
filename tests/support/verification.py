"""A model through compiler and emulator, with every tensor compared with ONNX Runtime's."""

from collections.abc import Mapping

import numpy as np
import onnx
from networks import Array

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.graph import Graph
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.device import Device
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import Config, load_config
from arrayloom.isa.program import Program


def random_values(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """One image: uniformly distributed bytes, normally distributed floats."""
    rng = np.random.default_rng(seed)
    values = {}
    for given in graph.model_inputs:
        shape, dtype = (1, *given.shape), np.dtype(given.dtype)
        if dtype == np.float32:
            values[given.name] = rng.normal(0, 1, shape).astype(np.float32)
        else:
            info = np.iinfo(dtype)
            values[given.name] = rng.integers(info.min, info.max + 1, shape).astype(dtype)
    return values


def assert_exact(model: onnx.ModelProto, config: str | Config = "tiny", device: Device | None = None,
                 inputs: Mapping[str, Array] | None = None) -> tuple[Program, Verdict]:
    """Asserts that every tensor equals ONNX Runtime's, on the emulator or the given device."""
    chosen = load_config(config)
    imported = import_model(model)
    program = compile_graph(imported.graph, chosen)
    verifier = Verifier(imported, program, device or open_device("emulator", chosen))
    verdict = verifier.verify(inputs or random_values(imported.graph))
    assert verdict.first_difference is None
    assert verdict.bytes_compared > 0
    assert all(np.unique(value).size > 1 for value in verdict.outputs.values() if value.size > 1)
    return program, verdict
