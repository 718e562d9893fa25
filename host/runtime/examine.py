"""The comparison with ONNX Runtime for one image, on any device."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.boundary import apply_tail, collect, device_inputs
from arrayloom.host.runtime.host_parts import HostParts
from arrayloom.host.runtime.model_reference import ReferenceValues
from arrayloom.host.runtime.report import RunReport, Stopwatch
from arrayloom.host.runtime.verdict import Verdict, compare_host, compare_tensor
from arrayloom.isa.image import Memory, build_memory, read_slot, write_inputs
from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Capture

Array = NDArray[Any]


@dataclass(frozen=True)
class Image:
    """One image on its way to the accelerator.

    Attributes
    ----------
    given
        The model's inputs by name, [1, ...], and the results of the host's head.
    integers
        The accelerator's inputs by name, [C, H, W].
    seconds
        Duration of the host's head.
    """

    given: dict[str, Array]
    integers: dict[str, Array]
    seconds: float


class Examiner:
    """Compares runs of ``program`` with ONNX Runtime on the model from which it was compiled."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._host = HostParts(program.host)

    def place(self, inputs: Mapping[str, Array]) -> Image:
        """``inputs``: model inputs by name, [1, ...]."""
        clock = Stopwatch()
        with clock:
            (given,) = self._host.before(collect(inputs, self.program.model_inputs))
        integers = {name: values[0] for name, values in device_inputs(given, self.program.inputs).items()}
        return Image(given, integers, clock.seconds)

    def memory(self, image: Image) -> Memory:
        """A fresh memory with the program and the image."""
        memory = build_memory(self.program)
        write_inputs(memory, self.program, image.integers)
        return memory

    def compare(self, capture: Capture, memory: Memory, expected: ReferenceValues, report: RunReport) -> Verdict:
        """Adds the emulator's results, tensor by tensor, and those left in ``memory``."""
        verdict = Verdict(0, 0, 0, None, report, {})
        for name in self.program.layouts:
            tensor = capture.tensor(self.program, name)
            if tensor is not None and name in expected.integer:
                verdict.tensors_compared += 1
                compare_tensor(verdict, name, expected.integer[name], tensor)
        self.compare_outputs(verdict, memory, expected)
        return verdict

    def compare_outputs(self, verdict: Verdict, memory: Memory, expected: ReferenceValues) -> None:
        """Adds the integers that a device stored in ``memory``, and keeps its outputs after the host's steps."""
        for port in self.program.outputs:
            values = read_slot(memory, port.slot)
            if port.slot.tensor in expected.integer:
                compare_tensor(verdict, port.slot.tensor, expected.integer[port.slot.tensor], values)
            verdict.outputs[port.name] = apply_tail(values[None], port)

    def finish(self, verdict: Verdict, image: Image, expected: ReferenceValues, note: str | None) -> None:
        """Adds the host's results, the original model's, the program's notes, and the reference's ``note``."""
        clock = Stopwatch()
        with clock:
            values = self._host.tail(image.given | verdict.outputs)
        for name, wanted in itertools.chain.from_iterable(part.items() for part in expected.host.values()):
            compare_host(verdict, name, wanted, values[name])
        verdict.outputs = {port.name: values[port.name] for port in self.program.model_outputs}
        verdict.report = verdict.report.with_host(image.seconds + clock.seconds)
        self._compare_original(verdict, expected)
        verdict.notes = [*self.program.notes, *([note] if note else [])]
        verdict.notices = list(self.program.notices)
        verdict.host, verdict.inserted_roundings = self.program.host, list(self.program.inserted_roundings)

    def _compare_original(self, verdict: Verdict, expected: ReferenceValues) -> None:
        if expected.original is None:
            return
        name = self.program.model_outputs[0].name
        wanted = expected.original[name].astype(np.float64)
        got = verdict.outputs[name].astype(np.float64)
        if wanted.shape != got.shape or not wanted.size:    # such as boxes, whose number depends on the picture
            verdict.original_top1_equal = wanted.shape == got.shape
            verdict.original_max_abs_error = 0.0 if wanted.shape == got.shape else None
            return
        verdict.original_top1_equal = bool(wanted.reshape(-1).argmax() == got.reshape(-1).argmax())
        verdict.original_max_abs_error = float(np.abs(wanted - got).max())
