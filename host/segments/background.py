"""Work in this process in parallel to the workers: ONNX Runtime and the emulator, image by image."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from arrayloom.compiler.frontend import ImportedModel
from arrayloom.host.runtime.examine import Examiner, Image
from arrayloom.host.runtime.model_reference import ModelReference, ReferenceValues
from arrayloom.host.runtime.report import RunReport, Stopwatch
from arrayloom.host.runtime.verdict import Verdict
from arrayloom.host.segments.golden import emulate
from arrayloom.host.segments.state import State
from arrayloom.sim.emulator import Capture

Array = NDArray[Any]


class References:
    """ONNX Runtime's values of all images for a model, computed in a separate thread."""

    def __init__(self, model: ImportedModel, images: Sequence[Mapping[str, Array]]) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._reference = self._pool.submit(ModelReference, model) if images else None
        self._values = [self._pool.submit(self._run, inputs) for inputs in images]

    def of(self, image: int) -> ReferenceValues:
        """Waits for it; raises what ONNX Runtime raised."""
        return self._values[image].result()

    def note(self) -> str | None:
        """``ModelReference.saturation_note``; requires at least one image."""
        assert self._reference is not None
        return self._reference.result().saturation_note()

    def close(self) -> None:
        """Ends the thread after the current image."""
        self._pool.shutdown(cancel_futures=True)

    def _run(self, inputs: Mapping[str, Array]) -> ReferenceValues:
        assert self._reference is not None
        return self._reference.result().run_all(inputs, original=True)


@dataclass(frozen=True)
class Examined:
    """The emulator's results for an image, their duration, and the comparison with ONNX Runtime.

    ``note``: the reference's, that it may be wrong on this machine.
    """

    capture: Capture
    seconds: float
    expected: ReferenceValues
    verdict: Verdict
    note: str | None


class Emulation:
    """The emulator on all images, in a separate thread; ``wanted``: instructions at which states are needed."""

    def __init__(self, examiner: Examiner, images: Sequence[Image], references: References, wanted: Iterable[int]) -> None:
        self._examiner, self._images, self._references = examiner, images, references
        self._wanted = sorted(set(wanted))
        self._states = [{index: Future[State]() for index in self._wanted} for _ in images]
        self._examined = [Future[Examined]() for _ in images]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def state(self, image: int, index: int) -> State:
        """Waits until the emulator has reached that instruction; raises its error, if any."""
        return self._states[image][index].result()

    def examined(self, image: int) -> Examined:
        """Waits until the image is done; raises the error of emulator or ONNX Runtime, if any."""
        return self._examined[image].result()

    def close(self) -> None:
        """Ends the thread at the next instruction."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for number in range(len(self._images)):
                self._examined[number].set_result(self._examine(number))
        except BaseException as error:      # passed on to the waiting thread
            waited: list[Future[Any]] = [*self._examined, *(one for states in self._states for one in states.values())]
            for future in waited:
                if not future.done():
                    future.set_exception(error)

    def _examine(self, number: int) -> Examined:
        program, memory = self._examiner.program, self._examiner.memory(self._images[number])
        states, clock = self._states[number], Stopwatch()
        with clock:
            capture = emulate(program, memory, self._wanted, lambda state: states[state.index].set_result(state), self._ask)
        expected = self._references.of(number)
        report = RunReport("emulator", program.macs, program.configuration.multipliers, clock.seconds)
        verdict = self._examiner.compare(capture, memory, expected, report)
        return Examined(capture, clock.seconds, expected, verdict, self._references.note())

    def _ask(self) -> None:
        if self._stopped.is_set():
            raise _StoppedError


class _StoppedError(Exception):
    """Raised in the emulator when its results are no longer needed."""
