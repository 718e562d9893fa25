"""A program prepared once and then run for whole batches."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.layout import from_signed, to_signed
from arrayloom.isa.ports import Input, Output
from arrayloom.isa.program import Program
from arrayloom.sim.plan.build import Builder
from arrayloom.sim.plan.feeds import Constants
from arrayloom.sim.plan.products import Library
from arrayloom.sim.plan.reader import Reader
from arrayloom.sim.plan.schedule import Schedule, schedule
from arrayloom.sim.plan.space import Space
from arrayloom.sim.plan.steps import State, Step, Workers
from arrayloom.sim.plan.works import Index

Array = NDArray[Any]
Observer = Callable[[Step, State], None]

BATCH_BYTES = 1 << 23       # bytes of the words of all images in one pass: more would not stay in the caches


class Plan:
    """A prepared ``program``: every word that a POST instruction writes equals the emulator's.

    Raises ``PlanError`` or ``EmulatorError`` for a program that can only be executed instruction by instruction.

    Attributes
    ----------
    steps
        The steps in the order of their execution.
    images
        Most images that run at a time.
    instructions
        Number of instructions executed by the steps of one pass.
    memory_words
        Range of the words of a ``State`` that are memory after the constants.
    """

    def __init__(self, program: Program, library: Library = Library.ONNXRUNTIME, threads: int = 1) -> None:
        self.program, self.library = program, library
        constants = Constants(program)
        self._space = space = Space(program, constants)
        works = Reader(program, constants, space).read()
        order = schedule(works, space.count)
        space.trim(order.written | order.early)
        builder = Builder(program.configuration, constants, space, library)
        self.steps: list[Step] = [step for group in order.groups for step in builder.steps(group)]
        self.instructions = sum(len(step.instructions) for step in self.steps)
        self._words = space.count - space.unused
        self.images = max(1, BATCH_BYTES // (self._words * program.configuration.size))
        self.memory_words = space.memory - space.unused, space.constant - space.unused
        self._stale = self._find_stale(order)
        self._state: State | None = None
        self._workers = Workers(threads, ThreadPoolExecutor(threads) if threads > 1 else None)

    def _find_stale(self, order: Schedule) -> Index:
        """The words that must be zero before a run: all others are written before they are read, or never written."""
        found = order.early & order.written
        for port in self.program.inputs:
            first = self._space.at(port.slot.address)
            found[first:first + port.slot.layout.words] = False
        return self._space.placed(np.flatnonzero(found).astype(np.int32))

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
        state = self._fresh(count)
        self._write(state, inputs)
        for step in self.steps:
            step.run(state, self._workers)
            if observe:
                observe(step, state)
        return {port.name: self._read(state, port) for port in ports}

    def _fresh(self, count: int) -> State:
        """The state for a number of images; it is reused, since new pages cost more than most steps."""
        if self._state is None or len(self._state.bytes) < count:
            self._state = State.make(count, self._words, self._space.constants)
        state = State(self._state.bytes[:count])
        state.bytes[:, self._stale] = 0
        return state

    def _write(self, state: State, inputs: Mapping[str, Array]) -> None:
        for port in self.program.inputs:
            layout, first = port.slot.layout, self._first(port)
            tensors = to_signed(np.ascontiguousarray(inputs[port.name])).reshape(-1, layout.channels, layout.height,
                                                                                 layout.width)
            for words, tensor in zip(state.bytes, tensors, strict=True):
                words[first:first + layout.words] = layout.pack(tensor).view(np.int8).reshape(-1, layout.size)

    def _read(self, state: State, port: Output) -> Array:
        layout, first = port.slot.layout, self._first(port)
        held = state.bytes[:, first:first + layout.words]
        tensors = np.stack([layout.unpack(np.ascontiguousarray(words).view(np.uint8).ravel()) for words in held])
        return from_signed(tensors, np.dtype(port.slot.dtype))

    def _first(self, port: Input | Output) -> int:
        return self._space.at(port.slot.address) - self._space.unused

    def close(self) -> None:
        """Ends the threads."""
        if self._workers.pool is not None:
            self._workers.pool.shutdown()
