"""Runs a whole program, instruction by instruction, and captures the results of each POST instruction."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from arrayloom.isa.config import Config
from arrayloom.isa.errors import ArrayloomError
from arrayloom.isa.fields import Instruction, Unit
from arrayloom.isa.fills import unordered_fills
from arrayloom.isa.image import Memory, build_memory, read_slot, write_inputs
from arrayloom.isa.instructions import (
    CentredConvolve,
    Convolve,
    Depthwise,
    Drain,
    DrainAttention,
    DrainDepthwise,
    Elementwise,
    End,
    FeedWeights,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Moments,
    Normalize,
    Pool,
    Softmax,
    Store,
    Turn,
)
from arrayloom.isa.layout import from_signed
from arrayloom.isa.order import order_of
from arrayloom.isa.program import Program, Stage
from arrayloom.sim.emulator import transfer
from arrayloom.sim.emulator.attention import Attention
from arrayloom.sim.emulator.convolve import Convolver
from arrayloom.sim.emulator.depthwise import depthwise
from arrayloom.sim.emulator.machine import EmulatorError, Machine
from arrayloom.sim.emulator.post import Poster


@dataclass
class Capture:
    """Results and writes of POST instructions, in order.

    ``results[instruction][stage]``: int8[height, width, size]; ``writes``: (instruction, word addresses, int8[n, size]).
    """

    results: dict[int, dict[Stage, NDArray[np.int8]]] = field(default_factory=dict)
    writes: list[tuple[int, NDArray[np.int64], NDArray[np.int8]]] = field(default_factory=list)

    def tensor(self, program: Program, name: str) -> NDArray[Any] | None:
        """The [C, H, W] tensor of that name in the model's dtype, assembled from its probes; None without probes."""
        probes = [(index, probe) for index, found in program.probes.items() for probe in found if probe.tensor == name]
        if not probes:
            return None
        layout = program.layouts[name]
        planes = np.zeros((layout.blocks, layout.rows, layout.columns, layout.size), np.int8)
        for index, probe in probes:
            piece = self.results[index][probe.stage]
            planes[probe.block, probe.y:probe.y + piece.shape[0], probe.x:probe.x + piece.shape[1]] = piece
        return from_signed(layout.unpack(planes.view(np.uint8).ravel()), np.dtype(program.dtypes[name]))


class Emulator:
    """Executes ``program`` on an emulated accelerator of ``config``.

    Raises ``ProgramError`` if the program is for another configuration, ``EmulatorError`` naming instruction and rule
    if it violates the ISA.
    """

    def __init__(self, program: Program, config: Config) -> None:
        program.require(config)
        self.program, self.config = program, config
        self.capture = Capture()

    def run(self, inputs: Mapping[str, NDArray[Any]], capture: bool = True) -> dict[str, NDArray[Any]]:
        """Integer inputs by name to integer outputs by name, [C, H, W] each; ``capture`` keeps every POST result."""
        memory = build_memory(self.program)
        write_inputs(memory, self.program, inputs)
        self.execute(memory, capture)
        return {output.name: read_slot(memory, output.slot) for output in self.program.outputs}

    def execute(self, memory: Memory, capture: bool, progress: Callable[[int], None] | None = None,
                scratchpad: NDArray[np.int8] | None = None) -> None:
        """Runs on a prepared memory and leaves the results in it; ``progress`` gets the instructions done.

        ``scratchpad``: int8[words, size], the initial content (default: zeros), updated in place.
        """
        machine = Machine(self.config, memory, write_base=self.program.write_base)
        if scratchpad is not None:
            machine.activations = scratchpad
        # the products are too small for several BLAS threads, which would busy-wait and slow down other processes
        with threadpool_limits(1, "blas"):
            self._execute(machine, capture, progress)

    def _execute(self, machine: Machine, capture: bool, progress: Callable[[int], None] | None) -> None:
        poster, convolver = Poster(machine), Convolver(machine)
        actions = _actions(machine, poster, convolver)
        self.capture = Capture()
        self._require_ordered_fills()
        for index, instruction in enumerate(self.program):
            if isinstance(instruction, End):
                if instruction.wait or instruction.signal:
                    raise EmulatorError(f"instruction {index} (end): it waits for or gives tokens, which only units do")
                break
            try:
                _step(machine, instruction, actions[type(instruction)])
            except ArrayloomError as error:
                raise EmulatorError(f"instruction {index} ({instruction.mnemonic()}): {error}") from None
            self._note(index, instruction, poster, convolver, capture)
            if progress:
                progress(index)
        else:
            raise EmulatorError("the program has no end instruction")
        if left := machine.left_over():
            raise EmulatorError(f"the program ended with {', '.join(left)} left over")

    def _require_ordered_fills(self) -> None:
        """Raises ``EmulatorError`` if two units fill the weight FIFO in an order that no token ensures."""
        if Unit.ATTENTION not in self.config.units:
            return
        instructions = list(_until_end(self.program))
        for found in unordered_fills(instructions, order_of(instructions)):
            later, earlier = instructions[found.later], instructions[found.earlier]
            assert earlier.UNIT is not None
            raise EmulatorError(
                f"instruction {found.later} ({later.mnemonic()}): fills the weight FIFO, but does not wait for instruction "
                f"{found.earlier} ({earlier.mnemonic()}), which fills it before: a token of {earlier.UNIT.name} is missing")

    def _note(self, index: int, instruction: Instruction, poster: Poster, convolver: Convolver, capture: bool) -> None:
        if instruction.UNIT is Unit.POST:
            convolver.written(int(poster.addresses.min()), int(poster.addresses.max()) + 1)
            if capture:
                self.capture.results[index] = poster.results
                last = list(poster.results.values())[-1]
                self.capture.writes.append((index, poster.addresses, last.reshape(-1, self.config.size)))
        elif isinstance(instruction, LoadActivations):
            end = instruction.destination + (instruction.rows - 1) * instruction.chip_pitch + instruction.words
            convolver.written(instruction.destination, end)
        elif isinstance(instruction, Turn):
            end = instruction.destination + (instruction.tiles - 1) * instruction.destination_pitch + self.config.size
            convolver.written(instruction.destination, end)


def _until_end(program: Program) -> Iterator[Instruction]:
    for instruction in program:
        yield instruction
        if isinstance(instruction, End):
            return


def _step(machine: Machine, instruction: Instruction, action: Callable[[Any], None]) -> None:
    unit = instruction.UNIT
    if unit is None:
        raise EmulatorError("no unit executes this")
    machine.require(instruction)
    machine.take_tokens(instruction, unit)
    action(instruction)
    machine.give_tokens(instruction, unit)


def _actions(machine: Machine, poster: Poster, convolver: Convolver) -> dict[type[Instruction], Callable[[Any], None]]:
    attention = Attention(machine)
    return {
        LoadWeights: lambda i: transfer.load_weights(machine, i),
        LoadParameters: lambda i: transfer.load_parameters(machine, i),
        LoadLookupTable: lambda i: transfer.load_lookup_table(machine, i),
        LoadActivations: lambda i: transfer.load_activations(machine, i),
        Store: lambda i: transfer.store(machine, i),
        Convolve: convolver.run,
        Drain: poster.drain,
        Depthwise: lambda i: depthwise(machine, i),
        DrainDepthwise: poster.drain,
        Elementwise: poster.elementwise,
        Pool: poster.pool,
        CentredConvolve: convolver.run,
        FeedWeights: attention.feed,
        Turn: attention.turn,
        Softmax: attention.softmax,
        Moments: attention.moments,
        Normalize: attention.normalize,
        DrainAttention: poster.drain,
    }
