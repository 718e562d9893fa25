"""The order of fills: random instructions of two units compared with a list of them in the order of the program."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from arrayloom.hdl.fill_order import SIDES, FillOrder
from arrayloom.hdl.issue import IN_FLIGHT
from arrayloom.isa.config import PRESETS

CONFIG = PRESETS["tiny-vit"]
CYCLES = 3000


@dataclass
class One:
    """An instruction that fills the FIFO."""

    side: int
    complete: bool = False


class Model:
    """The instructions of a program, those that wait, and those in the units; None is one that does not fill the FIFO."""

    def __init__(self) -> None:
        self.program: list[One] = []
        self.waiting: list[list[One]] = [[], []]
        self.flying: list[list[One | None]] = [[], []]

    def too_early(self, one: One) -> bool:
        before = self.program[:next(place for place, each in enumerate(self.program) if each is one)]
        return any(each.side != one.side and not each.complete for each in before)


@pytest.mark.parametrize("haste", [0.0, 0.02, 0.9])
def test_only_what_is_accepted_too_early_is_a_fault(haste: float) -> None:
    """``haste``: how probable it is that an instruction that would be too early is accepted all the same."""
    unit, rng, model, seen = FillOrder(CONFIG), np.random.default_rng(1), Model(), [0, 0]

    async def testbench(context: Any) -> None:
        early = [False, False]
        for _ in range(CYCLES):
            pushes = int(rng.integers(4))
            chosen = [_choice(model, side, pushes == side, rng, haste) for side in SIDES]
            for side, (push, accepted, fills, retired) in enumerate(chosen):
                filler = unit.fillers[side]
                for port, value in ((filler.pushed, push), (filler.accepted, accepted), (filler.fills, fills),
                                    (filler.retired, retired)):
                    context.set(port, int(value))
            early = [bool(accepted and fills) and model.too_early(model.waiting[side][0])
                     for side, (_, accepted, fills, _) in enumerate(chosen)]
            for side, choice in enumerate(chosen):
                _advance(model, side, choice)
            await context.tick()
            assert [bool(context.get(filler.unordered)) for filler in unit.fillers] == early
            if any(early):
                seen[1] += 1
                return
            seen[0] += 1

    simulator = Simulator(unit)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == [CYCLES, 0] if not haste else seen[1] == 1


def _choice(model: Model, side: int, push: bool, rng: np.random.Generator, haste: float) -> tuple[bool, bool, bool, bool]:
    waiting, flying = model.waiting[side], model.flying[side]
    retired = bool(flying) and rng.random() < 0.3
    accepted = len(flying) < IN_FLIGHT and rng.random() < 0.5
    fills = bool(waiting) and rng.random() < 0.7 and (not model.too_early(waiting[0]) or rng.random() < haste)
    return push and len(waiting) <= CONFIG.queue_depth, accepted, fills, retired


def _advance(model: Model, side: int, choice: tuple[bool, bool, bool, bool]) -> None:
    push, accepted, fills, retired = choice
    if retired and (one := model.flying[side].pop(0)) is not None:
        one.complete = True
    if accepted:
        model.flying[side].append(model.waiting[side].pop(0) if fills else None)
    if push:
        model.program.append(One(side))
        model.waiting[side].append(model.program[-1])
