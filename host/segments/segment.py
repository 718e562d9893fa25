"""A part of a program as a program of its own.

It begins with what lies in the FIFOs before its first instruction, which is loaded again, and ends with an end of its own.
Waits for tokens that were given before it, and tokens that are taken after it, are left out. All that is to be put into an
accelerator before it runs are the contents of the scratchpad and of memory.

Its first instruction keeps its address, so that what FETCH reads ahead is what it reads in the whole program.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.segments.errors import SegmentError
from arrayloom.host.segments.flow import Flow
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction
from arrayloom.isa.instructions import End
from arrayloom.isa.program import Layer, Program

Code = NDArray[np.uint8]


@dataclass(frozen=True)
class Segment:
    """Instructions ``first`` to ``end`` of a program.

    Attributes:
        number: of the segment, from 0.
        first: its first instruction.
        last: one more than its last instruction but for those that it has in common with the next segment.
        end: one more than its last instruction.
        instructions: uint8[n * 64], what the accelerator runs.
        code_address: where they lie in memory, which else is as the whole program has it.
        layers: what instructions belong to; those at the beginning that fill the FIFOs belong to none.
        places: int64[n], the instruction of the whole program that each is, or is a part of.
    """

    number: int
    first: int
    last: int
    end: int
    instructions: Code
    code_address: int
    layers: list[Layer]
    places: NDArray[np.int64]

    def __str__(self) -> str:
        return f"segment {self.number} (instructions {self.first} to {self.end} of the program)"

    def program(self, whole: Program) -> Program:
        """The segment as a program, cut from ``whole``."""
        return replace(whole, instructions=self.instructions, code_address=self.code_address, layers=self.layers, probes={})


def fits(flow: Flow, first: int) -> bool:
    """Whether a segment may begin at instruction ``first`` without a change of addresses."""
    if not flow.quiet[first]:
        return False
    start = first - flow.held(first)
    return start >= 0 and not _address(flow.program, start) % flow.program.configuration.size


def cut(flow: Flow, number: int, first: int, last: int, end: int) -> Segment:
    """The segment of these instructions.

    Raises ``SegmentError`` where a segment cannot begin or end there.
    """
    if not 0 <= first < last <= end <= flow.end or not fits(flow, first):
        raise SegmentError(f"a segment of instructions {first} to {end}: it cannot begin there, for sums are in the "
                           "accumulators, or what is in the FIFOs takes more loads than there are instructions before")
    if end != flow.end and not flow.closed[end]:
        raise SegmentError(f"a segment of instructions {first} to {end}: it cannot end there, for sums are in the "
                           "accumulators, or parameters or a lookup table in use")
    return _Cutter(flow, first, end).segment(number, last)


def _address(program: Program, index: int) -> int:
    return program.code_address + index * INSTRUCTION_BYTES


class _Cutter:
    def __init__(self, flow: Flow, first: int, end: int) -> None:
        self.flow, self.first, self.end = flow, first, end
        loads = flow.loads(first, end)
        self.before = [(load, replace(one, wait=0, signal=0)) for load, one in loads if load < first and one]
        self.dropped = {load for load, one in loads if load >= first and not one}
        self.changed: dict[int, Instruction] = {
            load: one for load, one in loads if load >= first and one and one != flow.instructions[load]}
        for load in self.dropped:
            if flow.instructions[load].wait:
                raise SegmentError(f"a segment of instructions {first} to {end}: it cannot end there, for {load} "
                                   f"({flow.instructions[load]}) waits for others and loads nothing that is used before")
        self._unpair()

    def segment(self, number: int, last: int) -> Segment:
        kept = np.array([index for index in range(self.first, self.end) if index not in self.dropped], np.int64)
        places = np.concatenate([np.array([load for load, _ in self.before], np.int64), kept, [self.end]])
        address = _address(self.flow.program, self.first - len(self.before))
        return Segment(number, self.first, last, self.end, self._code(kept), address, self._layers(kept), places)

    def _unpair(self) -> None:
        """Takes the tokens out whose giver or taker is not in the segment."""
        flow, gone = self.flow, np.array(sorted(self.dropped), np.int64)
        given, taken = ((self.first <= side) & (side < self.end) & ~np.isin(side, gone) for side in (flow.giver, flow.taker))
        for giver, taker in zip(flow.giver[given & ~taken], flow.taker[given & ~taken], strict=True):
            one = self._current(int(giver))
            self.changed[int(giver)] = replace(one, signal=one.signal & ~(1 << flow.unit(int(taker))))
        for giver, taker in zip(flow.giver[taken & ~given], flow.taker[taken & ~given], strict=True):
            one = self._current(int(taker))
            self.changed[int(taker)] = replace(one, wait=one.wait & ~(1 << flow.unit(int(giver))))

    def _current(self, index: int) -> Instruction:
        return self.changed.get(index, self.flow.instructions[index])

    def _code(self, kept: NDArray[np.int64]) -> Code:
        code = self.flow.program.instructions.reshape(-1, INSTRUCTION_BYTES)[kept]
        for index, one in self.changed.items():
            code[np.searchsorted(kept, index)] = _encoded(one)
        parts = [*(_encoded(one) for _, one in self.before), code.ravel(), _encoded(End())]
        return np.concatenate(parts)

    def _layers(self, kept: NDArray[np.int64]) -> list[Layer]:
        """The layers of which any instruction is in the segment, as far as they are in it."""
        layers = []
        for layer in self.flow.program.layers:
            bounds = np.searchsorted(kept, np.array(layer.runs)) + len(self.before)
            runs = tuple((int(first), int(last)) for first, last in bounds if first < last)
            if runs:
                layers.append(replace(layer, runs=runs))
        return layers


def _encoded(instruction: Instruction) -> Code:
    return np.frombuffer(instruction.encode(), np.uint8)
