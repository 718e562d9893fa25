"""A quantized network on the emulator, compared with ONNX Runtime at every tensor."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import load_config


def verify_on_emulator(model: onnx.ModelProto, images: NDArray[Any], config: str = "tiny") -> list[Verdict]:
    """The verdict for each image [N, ...] of the only input."""
    chosen = load_config(config)
    imported = import_model(model, DEFAULT_OPTIONS.of(chosen))
    program = compile_graph(imported.graph, chosen)
    device = open_device("emulator", chosen)
    verifier = Verifier(imported, program, device)
    name = imported.graph.model_inputs[0].name
    return [verifier.verify({name: image[np.newaxis]}) for image in images]


def assert_exact(model: onnx.ModelProto, images: NDArray[Any], config: str = "tiny") -> list[NDArray[Any]]:
    """Asserts zero differing bytes; returns the first output for each image."""
    verdicts = verify_on_emulator(model, images, config)
    for verdict in verdicts:
        assert verdict.first_difference is None
        assert verdict.bytes_differing == 0
        assert verdict.bytes_compared > 0
    return [next(iter(verdict.outputs.values())) for verdict in verdicts]
