"""The rows of a profile: the layers that own instructions, and what belongs to no layer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.program import Layer, Program

START_UP, WIND_DOWN, NO_LAYER = "(start-up)", "(wind-down)", "(no layer)"
OUTSIDE = (START_UP, WIND_DOWN, NO_LAYER)


@dataclass(frozen=True)
class Row:
    """A layer with the layers that its instructions execute as well; ``layer`` is None for what belongs to none."""

    name: str
    layer: Layer | None = None
    fused: tuple[Layer, ...] = ()

    @property
    def operator(self) -> str | None:
        """ONNX operators, joined by ``+`` where several are one."""
        return "+".join(layer.operator for layer in (self.layer, *self.fused)) if self.layer else None

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in (self.layer, *self.fused)) if self.layer else 0


class Rows:
    """``rows`` of a program in the order of their first instructions, then ``OUTSIDE``.

    An instruction of several layers belongs to the one with the most multiply-accumulates, the first of several; a layer
    to which nothing belongs is fused with the one that owns its first instruction.
    """

    def __init__(self, program: Program) -> None:
        leads = self._leads(program)
        own, first = np.unique(leads, return_index=True)
        order = [int(lead) for _, lead in sorted(zip(first, own, strict=True)) if lead >= 0]
        fused: dict[int, list[Layer]] = {lead: [] for lead in order}
        for index, layer in enumerate(program.layers):
            if index not in fused:
                fused[int(leads[layer.first])].append(layer)
        layers = [Row(program.layers[lead].name, program.layers[lead], tuple(fused[lead])) for lead in order]
        self.rows = (*layers, *(Row(name) for name in OUTSIDE))
        self.count = len(layers)
        self.of_instruction = self._of_instruction(leads, order)

    @staticmethod
    def _leads(program: Program) -> NDArray[np.int64]:
        """For each instruction the index of the layer that owns it, or -1."""
        leads = np.full(len(program), -1)
        for index, layer in sorted(enumerate(program.layers), key=lambda item: (item[1].macs, -item[0])):
            for first, last in layer.runs:
                leads[first:last] = index
        return leads

    def _of_instruction(self, leads: NDArray[np.int64], order: list[int]) -> NDArray[np.int64]:
        """For each instruction its row; the last instruction ends the program, and so winds down."""
        rows = {lead: row for row, lead in enumerate(order)} | {-1: self.index(NO_LAYER)}
        result = np.array([rows[int(lead)] for lead in leads], np.int64)
        if result.size and leads[-1] < 0:
            result[-1] = self.index(WIND_DOWN)
        return result

    def index(self, outside: str) -> int:
        return self.count + OUTSIDE.index(outside)

    def of_segments(self, instructions: NDArray[np.int32]) -> NDArray[np.int64]:
        """The row of each segment of a unit's track, given the instructions that the unit is at (-1: none)."""
        inside = instructions >= 0
        rows = np.full(len(instructions), self.index(WIND_DOWN))
        rows[inside] = self.of_instruction[instructions[inside]]
        rows[:int(inside.argmax()) if inside.any() else len(rows)] = self.index(START_UP)
        return rows
