"""The emulator with a plan, on which sessions and services run whole batches."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from arrayloom.host.runtime.device import Device, Writes
from arrayloom.host.runtime.report import Progress, RunReport, Snapshot, layers_of
from arrayloom.isa.errors import ArrayloomError
from arrayloom.isa.image import Memory
from arrayloom.isa.ports import Output
from arrayloom.isa.program import Program
from arrayloom.sim.emulator import Capture
from arrayloom.sim.plan import Library, Plan
from arrayloom.sim.plan.steps import State, Step

Array = NDArray[Any]


class PlannedDevice:
    """The device of ``interpreter`` with a plan for the program that it ran last; a plan is made once and then kept.

    The interpreter executes single runs on a prepared memory, and all runs of a program without a plan. With
    ``Library.ONNXRUNTIME`` a plan uses the reference's own library for products, so nothing that is compared with ONNX
    Runtime may come from here: ``verify`` uses the emulator itself.

    Attributes
    ----------
    reason : str or None
        Why the program of the last ``prepare`` has no plan.
    """

    def __init__(self, interpreter: Device, threads: int = 1, library: Library = Library.ONNXRUNTIME) -> None:
        self.name, self.config = interpreter.name, interpreter.config
        self.reason: str | None = None
        self._interpreter, self._threads, self._library = interpreter, threads, library
        self._plan: Plan | None = None
        self._prepared: tuple[object, ...] = ()
        self._layers: list[str] = []

    def prepare(self, program: Program) -> bool:
        """Makes the plan if needed; returns whether the program has one."""
        program.require(self.config)
        wanted = (program, program.instructions, program.constants)
        if len(self._prepared) != len(wanted) or any(a is not b for a, b in zip(self._prepared, wanted, strict=True)):
            self._drop()
            try:
                self._plan = Plan(program, self._library, self._threads)
                self._layers = layers_of(program)
            except ArrayloomError as error:
                self.reason = str(error)
            self._prepared = wanted
        return self._plan is not None

    def run_batch(self, program: Program, inputs: Mapping[str, Array], ports: Sequence[Output],
                  progress: Progress | None = None) -> tuple[dict[str, Array], RunReport]:
        """Runs all images of ``inputs``; only after ``prepare`` has returned true for the program."""
        if not self.prepare(program) or self._plan is None:
            raise ValueError("the program has no plan; call prepare first")
        count = len(next(iter(inputs.values())))
        begin = time.perf_counter()
        results = self._plan.run(inputs, ports, progress and _step_observer(self._plan, self._layers, count, progress))
        seconds = time.perf_counter() - begin
        return results, RunReport(self.name, count * program.macs, self.config.multipliers, seconds)

    def execute(self, program: Program, memory: Memory, progress: Progress | None = None) -> RunReport:
        return self._interpreter.execute(program, memory, progress)

    def trace(self) -> Writes | None:
        return self._interpreter.trace()

    def capture(self) -> Capture | None:
        return self._interpreter.capture()

    def close(self) -> None:
        self._drop()
        self._interpreter.close()

    def _drop(self) -> None:
        if self._plan is not None:
            self._plan.close()
        self._plan, self._prepared, self.reason = None, (), None


def _step_observer(plan: Plan, layers: Sequence[str], images: int, progress: Progress) -> Callable[[Step, State], None]:
    """Reports progress after each step; as elsewhere, the share restarts with each image. ``layers``: by instruction."""
    count = len(plan.program)
    before, done, shown = 0, 0, 0

    def tell(share: float, layer: str) -> None:
        progress(Snapshot(int(share * count), count, layer, share))

    def observe(step: Step, state: State) -> None:
        nonlocal before, done, shown
        layer, together = layers[step.instructions[-1]], len(state.bytes)
        done += len(step.instructions)
        total = before + together * done / plan.instructions
        while shown < int(total):
            tell(1.0, layer)
            shown += 1
            if shown < images:
                tell(0.0, layer)
        if total > shown:
            tell(total - shown, layer)
        if done == plan.instructions:
            before, done = before + together, 0

    return observe
