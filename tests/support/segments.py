"""Networks, the emulator's states during their runs, and a pool that runs segments in turn."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from mobile_networks import mobile_network
from numpy.typing import NDArray
from random_graphs import generate, random_inputs
from small_accelerators import ROOMY

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.host.models import digits
from arrayloom.host.pool.local import ThisProcess
from arrayloom.host.runtime.examine import Examiner
from arrayloom.host.segments.flow import Flow
from arrayloom.host.segments.golden import emulate
from arrayloom.host.segments.segment import begins, ends
from arrayloom.host.segments.state import State
from arrayloom.host.vision import preprocess
from arrayloom.isa.config import Config, load_config
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Capture

IMAGE = digits.IMAGES / "digit_3_0705.png"


class InTurn(ThisProcess):
    """Two workers in this process, so that one image is run in segments."""

    count = 2


@dataclass(frozen=True)
class Network:
    """A compiled network with one image."""

    imported: ImportedModel
    program: Program
    flow: Flow
    inputs: dict[str, NDArray[np.generic]]

    def memory(self) -> Memory:
        """Memory with the program and the image."""
        examiner = Examiner(self.program)
        return examiner.memory(examiner.place(self.inputs))

    def cuts(self) -> list[int]:
        """Instruction indices at which one segment can end and the next begin."""
        return [index for index in range(1, self.flow.end) if begins(self.flow, index) and ends(self.flow, index)]

    def emulated(self, wanted: Iterable[int]) -> "Emulated":
        """The emulator's results, and the states before the requested instructions."""
        memory, states = self.memory(), dict[int, State]()
        capture = emulate(self.program, memory, wanted, lambda state: states.update({state.index: state}))
        return Emulated(capture, states, memory)


@dataclass(frozen=True)
class Emulated:
    """``memory``: the final memory."""

    capture: Capture
    states: dict[int, State]
    memory: Memory


def digits_on(config: str) -> Network:
    """The network of handwritten digits."""
    return _network(onnx.load(digits.MODEL), config, {"image": preprocess(IMAGE, "digits")})


def mobile() -> Network:
    """A small MobileNetV2 on an accelerator with a DEPTHWISE unit."""
    model = mobile_network("mobilenet_v2", 32, 0.25)
    return _network(model, ROOMY, random_inputs(model, 1))


def random_on(config: str, seed: int) -> Network:
    """A random graph."""
    model = generate(seed)
    return _network(model, config, random_inputs(model, seed))


def file_on(config: str, model: Path, inputs: dict[str, NDArray[np.generic]]) -> Network:
    """A model from a file."""
    return _network(onnx.load(model), config, inputs)


def _network(model: onnx.ModelProto, config: str | Config, inputs: dict[str, NDArray[np.generic]]) -> Network:
    imported = import_model(model)
    program = compile_graph(imported.graph, load_config(config))
    return Network(imported, program, Flow(program), {name: values[:1] for name, values in inputs.items()})
