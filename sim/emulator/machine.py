"""The state of the accelerator between instructions."""

from collections import deque
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.errors import ArrayloomError
from arrayloom.isa.fields import Instruction, Unit, units_in
from arrayloom.isa.instructions import OF_DEPTHWISE

Words = NDArray[np.int8]
Weights = NDArray[np.int8] | NDArray[np.int16]
Sums = NDArray[np.int32]


class EmulatorError(ArrayloomError):
    """A program violates the ISA; the text names the instruction, the rule and the values."""


@dataclass
class Machine:
    """State of the accelerator.

    ``memory``: uint8, from the program's memory base; ``activations``: int8[words, size]; ``weights``, ``parameters``,
    ``tables``: the FIFOs that LOAD fills, oldest first; ``bank``: int32[pixels, size] being filled; ``full``: banks
    that wait to be drained, ``depthwise_full`` and ``attention_full``: those of the optional units;
    ``tokens[consumer][producer]``; ``write_base``: the first writable byte of memory.
    """

    config: Config
    memory: NDArray[np.uint8]
    activations: Words = field(init=False)
    weights: deque[Weights] = field(default_factory=deque)
    parameters: deque[NDArray[np.uint32]] = field(default_factory=deque)
    tables: deque[Words] = field(default_factory=deque)
    bank: Sums | None = None
    full: deque[Sums] = field(default_factory=deque)
    depthwise_full: deque[Sums] = field(default_factory=deque)
    attention_full: deque[Sums] = field(default_factory=deque)
    tokens: NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(Unit), len(Unit)), np.int64))
    write_base: int = 0

    def __post_init__(self) -> None:
        self.activations = np.zeros((self.config.activation_words, self.config.size), np.int8)

    def require(self, instruction: Instruction) -> None:
        """Raises ``EmulatorError`` if the accelerator lacks the instruction's unit or a unit in its masks."""
        if type(instruction) not in self.config.instructions:
            lacks, option = (("DEPTHWISE", "depthwise_channels") if type(instruction) in OF_DEPTHWISE
                             else ("ATTENTION", "attention_lanes"))
            raise EmulatorError(f"{self.config.name} has no {lacks} unit; {option} = {self.config.size} gives it one")
        for unit in units_in(instruction.wait | instruction.signal):
            if unit not in self.config.units:
                raise EmulatorError(f"wait or signal names {unit.name}, a unit that {self.config.name} does not have")

    def take_tokens(self, instruction: Instruction, unit: Unit) -> None:
        for producer in units_in(instruction.wait):
            if producer != unit:
                if not self.tokens[unit, producer]:
                    raise EmulatorError(f"{unit.name} waits for a token of {producer.name} that none before has given")
                self.tokens[unit, producer] -= 1

    def give_tokens(self, instruction: Instruction, unit: Unit) -> None:
        for consumer in units_in(instruction.signal):
            if consumer == unit:
                raise EmulatorError(f"{unit.name} gives a token to itself")
            self.tokens[consumer, unit] += 1

    def read_memory(self, address: int, words: int) -> Words:
        """int8[words, size] at a byte address of memory."""
        end = address + words * self.config.size
        if address % self.config.size or end > self.memory.size:
            raise EmulatorError(f"memory from {address:#x} to {end:#x}: not whole words inside {self.memory.size:#x} bytes")
        return self.memory[address:end].view(np.int8).reshape(words, self.config.size)

    def take_words(self, words: int) -> Weights:
        """The next words of the weight FIFO."""
        parts: list[Weights] = []
        missing = words
        while missing:
            if not self.weights:
                raise EmulatorError(f"the weight FIFO lacks {missing} of {words} words")
            head = self.weights.popleft()
            parts.append(head[:missing])
            if len(head) > missing:
                self.weights.appendleft(head[missing:])
            missing -= len(parts[-1])
        return parts[0] if len(parts) == 1 else cast(Weights, np.concatenate(parts))

    def left_over(self) -> list[str]:
        """Remaining state that a program must not leave in the machine."""
        found = [f"{int(count)} tokens of {Unit(p).name} for {Unit(c).name}"
                 for (c, p), count in np.ndenumerate(self.tokens) if count]
        names = {"weights": self.weights, "parameters": self.parameters, "tables": self.tables, "full banks": self.full,
                 "full banks of depthwise sums": self.depthwise_full,
                 "full banks of the ATTENTION unit": self.attention_full}
        found += [name for name, fifo in names.items() if fifo]
        return found + (["a half-filled accumulator bank"] if self.bank is not None else [])
