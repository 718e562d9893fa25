"""A program prepared once and then run for whole batches."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.layout import from_signed, to_signed
from arrayloom.isa.ports import Output
from arrayloom.isa.program import Program
from arrayloom.sim.plan.build import Builder
from arrayloom.sim.plan.feeds import Constants
from arrayloom.sim.plan.products import Library
from arrayloom.sim.plan.reader import Reader
from arrayloom.sim.plan.schedule import schedule
from arrayloom.sim.plan.space import Space
from arrayloom.sim.plan.steps import State, Step, Workers

Array = NDArray[Any]
Observer = Callable[[Step, State], None]

BATCH_BYTES = 1 << 25       # of words that the images of one pass hold together


class Plan:
    """What ``Emulator`` makes of ``program``, prepared: every word that a POST instruction writes is the same.

    Raises ``PlanError`` or ``EmulatorError`` for a program that only instruction by instruction can be executed.

    Attributes:
        steps: in the order of their execution.
        images: the most that run at a time.
        memory_words: the words of a ``State`` that are the memory after the constants, from and up to.
    """

    def __init__(self, program: Program, library: Library = Library.ONNXRUNTIME, threads: int = 1) -> None:
        self.program, self.library = program, library
        constants = Constants(program)
        self._space = Space(program, constants)
        self.memory_words = self._space.memory, self._space.constant
        works = Reader(program, constants, self._space).read()
        builder = Builder(program.configuration, constants, library)
        self.steps: list[Step] = [step for group in schedule(works, self._space.count) for step in builder.steps(group)]
        used = max((int(work.destination.max()) for work in works), default=0) + 1
        self.images = max(1, BATCH_BYTES // (used * program.configuration.size))
        self._workers = Workers(threads, ThreadPoolExecutor(threads) if threads > 1 else None)

    def run(self, inputs: Mapping[str, Array], ports: Sequence[Output], observe: Observer | None = None) -> dict[str, Array]:
        """Integer inputs by name, [N, ...] each, to the integers of ``ports`` by name, [N, C, H, W].

        ``observe`` is called after each step, with the words of the images that run together.
        """
        count = len(next(iter(inputs.values())))
        parts = [self._run({name: values[first:first + self.images] for name, values in inputs.items()}, ports, observe)
                 for first in range(0, count, self.images)]
        return parts[0] if len(parts) == 1 else {port.name: np.concatenate([part[port.name] for part in parts])
                                                 for port in ports}

    def _run(self, inputs: Mapping[str, Array], ports: Sequence[Output], observe: Observer | None) -> dict[str, Array]:
        count = len(next(iter(inputs.values())))
        state = State(count, self._space.count, self._space.constants)
        self._write(state, inputs)
        for step in self.steps:
            step.run(state, self._workers)
            if observe:
                observe(step, state)
        return {port.name: self._read(state, port) for port in ports}

    def _write(self, state: State, inputs: Mapping[str, Array]) -> None:
        for port in self.program.inputs:
            layout, first = port.slot.layout, self._space.at(port.slot.address)
            tensors = to_signed(np.ascontiguousarray(inputs[port.name])).reshape(-1, layout.channels, layout.height,
                                                                                 layout.width)
            for words, tensor in zip(state.bytes, tensors, strict=True):
                words[first:first + layout.words] = layout.pack(tensor).view(np.int8).reshape(-1, layout.size)

    def _read(self, state: State, port: Output) -> Array:
        layout, first = port.slot.layout, self._space.at(port.slot.address)
        held = state.bytes[:, first:first + layout.words]
        tensors = np.stack([layout.unpack(np.ascontiguousarray(words).view(np.uint8).ravel()) for words in held])
        return from_signed(tensors, np.dtype(port.slot.dtype))

    def close(self) -> None:
        """Ends the threads."""
        if self._workers.pool is not None:
            self._workers.pool.shutdown()
