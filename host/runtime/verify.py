"""Comparison with ONNX Runtime at every tensor of the integer graph.

The emulator is compared with ONNX Runtime tensor by tensor, also those that never leave the POST unit's pipeline; the
RTL is compared with the emulator at every word that the POST unit writes, and with ONNX Runtime at the outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.graph import Graph
from arrayloom.host.runtime.boundary import apply_tail, collect
from arrayloom.host.runtime.device import Device, EmulatorDevice
from arrayloom.host.runtime.progress import Progress
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.runtime.report import RunReport
from arrayloom.isa.image import build_memory, read_slot, write_inputs
from arrayloom.isa.program import Program
from arrayloom.sim.compare import compare_writes

Array = NDArray[Any]


@dataclass
class Verdict:
    """``first_difference``: None, or what differed first: tensor, coordinate, expected and got.

    ``original_*``: against ONNX Runtime on the unlowered model, None where nothing was lowered. ``outputs``: the device's;
    ``notes``: the program's.
    """

    tensors_compared: int
    bytes_compared: int
    bytes_differing: int
    first_difference: dict[str, Any] | None
    report: RunReport
    outputs: dict[str, Array]
    original_top1_equal: bool | None = None
    original_max_abs_error: float | None = None
    notes: list[str] = field(default_factory=list)

    def merge(self, other: "Verdict", report: RunReport) -> "Verdict":
        """This verdict and that of a further image."""
        equal, error = self.original_top1_equal, self.original_max_abs_error
        if equal is not None and other.original_top1_equal is not None:
            equal = equal and other.original_top1_equal
            error = max(error or 0.0, other.original_max_abs_error or 0.0)
        return Verdict(self.tensors_compared, self.bytes_compared + other.bytes_compared,
                       self.bytes_differing + other.bytes_differing,
                       self.first_difference or other.first_difference, report, other.outputs, equal, error, self.notes)


class Verifier:
    """Checks a compiled model on a device, one image a call.

    ``graph``: the imported model that ``program`` was compiled from; ``original``: the model as given, for a lowered one.
    """

    def __init__(self, graph: Graph, program: Program, device: Device, original: onnx.ModelProto | None = None) -> None:
        self.graph, self.program, self.device = graph, program, device
        self.reference = Reference(graph.integer_model)
        self.original = Reference(original) if original is not None else None

    def verify(self, inputs: Mapping[str, Array], progress: Progress | None = None) -> Verdict:
        """``inputs``: model inputs by name, [1, ...]."""
        expected = self.reference.run_all(inputs)
        integers = {name: values[0] for name, values in collect(dict(inputs), self.program.inputs).items()}
        golden = EmulatorDevice(self.device.config, capture=True)
        memory = build_memory(self.program)
        write_inputs(memory, self.program, integers)
        report = golden.execute(self.program, memory, progress if self.device.name == "emulator" else None)
        verdict = self._compare_tensors(golden, memory, expected, report)
        if self.device.name != "emulator":
            self._compare_device(golden, integers, expected, verdict, progress)
        self._compare_original(inputs, verdict)
        verdict.notes = list(self.program.notes)
        return verdict

    def _compare_tensors(self, golden: EmulatorDevice, memory: Array, expected: dict[str, Array],
                         report: RunReport) -> Verdict:
        verdict = Verdict(0, 0, 0, None, report, {})
        for name in self.program.layouts:
            tensor = golden.emulator.capture.tensor(self.program, name)
            if tensor is not None and name in expected:
                verdict.tensors_compared += 1
                _compare(verdict, name, expected[name], tensor)
        self._compare_outputs(memory, expected, verdict)
        return verdict

    def _compare_outputs(self, memory: Array, expected: dict[str, Array], verdict: Verdict) -> None:
        """The integers that the device stored, and the model's outputs after the host's steps."""
        for port in self.program.outputs:
            values = read_slot(memory, port.slot)
            if port.slot.tensor in expected:
                _compare(verdict, port.slot.tensor, expected[port.slot.tensor], values)
            verdict.outputs[port.name] = apply_tail(values[None], port)

    def _compare_device(self, golden: EmulatorDevice, integers: dict[str, Array], expected: dict[str, Array],
                        verdict: Verdict, progress: Progress | None) -> None:
        memory = build_memory(self.program)
        write_inputs(memory, self.program, integers)
        verdict.report = self.device.execute(self.program, memory, progress)
        addresses, words = self.device.trace()  # type: ignore[attr-defined]
        comparison = compare_writes(self.program, golden.emulator.capture, addresses, words)
        verdict.bytes_differing += comparison.bytes_differing
        if comparison.first and not verdict.first_difference:
            verdict.first_difference = comparison.first.to_json()
        self._compare_outputs(memory, expected, verdict)

    def _compare_original(self, inputs: Mapping[str, Array], verdict: Verdict) -> None:
        if self.original is None:
            return
        name = self.program.outputs[0].name
        wanted = self.original.run(inputs)[name].astype(np.float64)
        got = verdict.outputs[name].astype(np.float64)
        verdict.original_top1_equal = bool(wanted.reshape(-1).argmax() == got.reshape(-1).argmax())
        verdict.original_max_abs_error = float(np.abs(wanted - got).max())


def _compare(verdict: Verdict, name: str, expected: Array, got: Array) -> None:
    """Adds one tensor to the verdict; ``expected`` as ONNX Runtime gives it, ``got`` [C, H, W]."""
    wanted = expected.reshape(got.shape)
    verdict.bytes_compared += got.size
    unequal = wanted != got
    count = int(unequal.sum())
    verdict.bytes_differing += count
    if count and verdict.first_difference is None:
        where = tuple(int(i) for i in np.argwhere(unequal)[0])
        verdict.first_difference = {"tensor": name, "coordinate": where, "expected": int(wanted[where]),
                                    "got": int(got[where])}
