"""How far a run is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arrayloom.isa.fields import Unit
from arrayloom.isa.instructions import Convolve
from arrayloom.isa.program import Program


@dataclass(frozen=True)
class Snapshot:
    """A run at some snapshot.

    Attributes:
        done: instructions complete.
        count: instructions in all.
        layer: whose instruction is the oldest that is not complete; empty where there is none.
        share: of the work that is done, 0 to 1.
        cycles: since the run began, None where the backend has no clock.
    """

    done: int
    count: int
    layer: str
    share: float
    cycles: int | None = None


Progress = Callable[[Snapshot], None]


class ProgressModel:
    """What a program has to do, so that a run of it can be placed.

    The share is that of the array's cycles, which are known exactly and make up nearly all of a run; of the instructions
    for a program without any.
    """

    def __init__(self, program: Program) -> None:
        self.layers = layers_of(program)
        instructions = list(program)
        self.own = {unit: [index for index, one in enumerate(instructions) if one.UNIT is unit] for unit in Unit}
        work = [_array_cycles(one) for one in instructions if isinstance(one, Convolve)]
        self._work = np.concatenate([[0], np.cumsum(work)])

    def after(self, retired: dict[Unit, int], cycles: int) -> Snapshot:
        """The snapshot in which each unit has completed so many instructions."""
        ahead = [own[retired[unit]] for unit, own in self.own.items() if retired[unit] < len(own)]
        done, count = sum(retired.values()), len(self.layers)
        total = int(self._work[-1])
        share = int(self._work[retired[Unit.ARRAY]]) / total if total else done / count
        return Snapshot(done, count, self.layers[min(ahead)] if ahead else "", share, cycles)


def layers_of(program: Program) -> list[str]:
    """For each instruction the name of its layer; of the first, where several share it; empty where none has it."""
    names = [""] * len(program)
    for layer in reversed(program.layers):
        for index in layer.instructions:
            names[index] = layer.name
    return names


def _array_cycles(one: Convolve) -> int:
    return one.height * one.width * one.blocks * one.taps_y * one.taps_x * one.repeats
