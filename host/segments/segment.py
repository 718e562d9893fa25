"""A part of a program as an independent program.

It begins with instructions that give the outstanding tokens and reload the content of the FIFOs. It ends
with instructions that take the tokens that later instructions would take, and with its own end; data
that would remain in the FIFOs is not loaded. Only the contents of scratchpad and memory must be set
before it runs.

The instructions in between keep their addresses, so FETCH prefetches the same as in the whole program.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.segments.errors import SegmentError
from arrayloom.host.segments.flow import Flow
from arrayloom.host.segments.idle import Idle, count_giving
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction, Unit, seal
from arrayloom.isa.image import Memory, build_memory
from arrayloom.isa.instructions import End, LoadActivations
from arrayloom.isa.program import Layer, Program

Code = NDArray[np.uint8]

OWN = -1        # place of an instruction that is not in the whole program


@dataclass(frozen=True)
class Segment:
    """Instructions ``first`` to ``end`` of a program.

    Attributes
    ----------
    number
        Number of the segment, from 0.
    first
        Its first instruction.
    last
        One more than its last instruction before the overlap with the next segment.
    end
        One more than its last instruction.
    instructions
        uint8[n * 64], the instructions to run.
    code_address
        Their address in memory, whose other content is that of the whole program.
    layers
        Layers of the instructions; those added by this segment belong to none.
    places
        int64[n], for each instruction its counterpart in the whole program; ``OWN`` for added ones.
    posts
        int64[p], those of ``places`` that the POST unit executes.
    word
        Scratchpad word that the added instructions read and write back.
    scratch
        Address in memory of a word that only the added instructions use.
    """

    number: int
    first: int
    last: int
    end: int
    instructions: Code
    code_address: int
    layers: list[Layer]
    places: NDArray[np.int64]
    posts: NDArray[np.int64]
    word: int
    scratch: int

    def __str__(self) -> str:
        return f"segment {self.number} (instructions {self.first} to {self.end - 1} of the program)"

    def figures(self) -> dict[str, int]:
        """Its number and its ranges of instructions, both ends included, under their names in ``--json``."""
        return {"segment": self.number, "first_instruction": self.first, "last_instruction": self.last - 1,
                "end_instruction": self.end - 1}

    @property
    def own_posts(self) -> tuple[int, int]:
        """Added instructions of the POST unit, at the beginning and at the end."""
        real = np.flatnonzero(self.posts != OWN)
        return (int(real[0]), len(self.posts) - 1 - int(real[-1])) if len(real) else (len(self.posts), 0)

    def program(self, whole: Program) -> Program:
        """The segment as a program, cut from ``whole``."""
        return replace(whole, instructions=self.instructions, code_address=self.code_address, layers=self.layers, probes={},
                       write_base=0)

    def memory(self, whole: Program) -> Memory:
        """A fresh memory with the segment, the other instructions and the constants of ``whole``."""
        memory = build_memory(whole)
        memory[self.code_address:self.code_address + self.instructions.size] = self.instructions
        return memory


def begins(flow: Flow, first: int) -> bool:
    """Whether a segment can begin at instruction ``first``: the accumulators are empty, and the added
    instructions fit before its address."""
    if not first:
        return True
    start = first - flow.held(first) - count_giving(flow.tokens(first))
    size = flow.program.configuration.size
    return (bool(flow.quiet[first]) and start * INSTRUCTION_BYTES >= size and not _address(flow.program, start) % size
            and _has_tile(flow.program))


def ends(flow: Flow, end: int) -> bool:
    """Whether a segment can end before instruction ``end``: neither sums nor parameters or tables in use are left."""
    return end == flow.end or (bool(flow.closed[end]) and _has_tile(flow.program))


def cut(flow: Flow, number: int, first: int, last: int, end: int) -> Segment:
    """The segment of these instructions.

    Raises ``SegmentError`` if a segment cannot begin or end there.
    """
    if not (0 <= first < last <= end <= flow.end and begins(flow, first) and ends(flow, end)):
        raise SegmentError(f"a segment of instructions {first} to {end} of {flow.end}: sums, parameters or lookup tables "
                           "are in use where it begins or ends, or what is loaded again does not fit before it")
    return _Cutter(flow, first, end).segment(number, last)


def _has_tile(program: Program) -> bool:
    """Whether memory has at least one tile of weights, which the token-giving instructions load."""
    return program.memory_bytes >= program.configuration.size**2


def _address(program: Program, index: int) -> int:
    return program.code_address + index * INSTRUCTION_BYTES


class _Cutter:
    def __init__(self, flow: Flow, first: int, end: int) -> None:
        self.flow, self.first, self.end = flow, first, end
        self.config = flow.program.configuration
        loads = flow.loads(first, end)
        self.again = [(load, replace(one, wait=0, signal=0)) for load, one in loads if load < first and one]
        self.dropped = {load for load, one in loads if load >= first and not one}
        self.changed = {load: one for load, one in loads if load >= first and one and one != flow.instructions[load]}
        self._require_alone()
        self.word = self._untouched()
        given, left = flow.tokens(first), flow.tokens(end)
        before = Idle(self.config, self.word, 0).giving(given)
        self.start = first - len(before) - len(self.again)
        self.scratch = max(0, _address(flow.program, self.start) - self.config.size)
        idle = Idle(self.config, self.word, self.scratch)
        self.before = idle.giving(given)
        self.after = [*(idle.taking(left) if end != flow.end else ()), End()]

    def segment(self, number: int, last: int) -> Segment:
        kept = np.array([index for index in range(self.first, self.end) if index not in self.dropped], np.int64)
        places = np.concatenate([np.full(len(self.before), OWN), np.array([load for load, _ in self.again], np.int64), kept,
                                 np.full(len(self.after), OWN)])
        posts = [np.full(_posts(self.before), OWN), kept[self.flow.units[kept] == Unit.POST],
                 np.full(_posts(self.after), OWN)]
        return Segment(number, self.first, last, self.end, self._code(kept), _address(self.flow.program, self.start),
                       self._layers(kept), places, np.concatenate(posts), self.word, self.scratch)

    def _require_alone(self) -> None:
        """Raises ``SegmentError`` if other instructions wait for an omitted load: they would no longer be ordered."""
        for load in self.dropped:
            one = self.flow.instructions[load]
            if one.signal or one.wait & ~(1 << Unit.LOAD):
                raise SegmentError(f"a segment of instructions {self.first} to {self.end}: it cannot end there, for others "
                                   f"wait for instruction {load} ({one}), of which nothing is used before")

    def _untouched(self) -> int:
        """A scratchpad word that LOAD does not write."""
        free = np.ones(self.config.activation_words, np.bool_)
        for one in self.flow.instructions[self.first:self.end]:
            if isinstance(one, LoadActivations):
                for row in range(one.rows):
                    begin = one.destination + row * one.chip_pitch
                    free[begin:begin + one.words] = False
        if not free.any():
            raise SegmentError(f"a segment of instructions {self.first} to {self.end}: the whole scratchpad is loaded in it")
        return int(np.argmax(free))

    def _code(self, kept: NDArray[np.int64]) -> Code:
        code = self.flow.program.instructions.reshape(-1, INSTRUCTION_BYTES)[kept]
        for index, one in self.changed.items():
            code[np.searchsorted(kept, index)] = _encoded(one)
        before = [*self.before, *(one for _, one in self.again)]
        code = np.concatenate([*map(_encoded, before), code.ravel(), *map(_encoded, self.after)])
        seal(code, _address(self.flow.program, self.start) // INSTRUCTION_BYTES)
        return code

    def _layers(self, kept: NDArray[np.int64]) -> list[Layer]:
        """The layers with instructions in the segment, limited to it."""
        layers = []
        for layer in self.flow.program.layers:
            bounds = np.searchsorted(kept, np.array(layer.runs)) + self.first - self.start
            runs = tuple((int(first), int(last)) for first, last in bounds if first < last)
            if runs:
                layers.append(replace(layer, runs=runs))
        return layers


def _posts(instructions: list[Instruction]) -> int:
    return sum(one.UNIT is Unit.POST for one in instructions)


def _encoded(instruction: Instruction) -> Code:
    return np.frombuffer(instruction.encode(), np.uint8)
