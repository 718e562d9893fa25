"""The activity of a design's registers, sampled while it ran a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.runtime.driver import RtlDriver
from arrayloom.isa.image import Memory
from arrayloom.isa.program import Program
from arrayloom.sim.rtl.build import build
from arrayloom.sim.rtl.design import ACTIVITY, accelerator
from arrayloom.sim.rtl.islands.state import State
from arrayloom.sim.rtl.memory import Timing
from arrayloom.sim.rtl.simulator import Stop

Samples = NDArray[np.bool_]
"""[sample, state, 2]: whether each state was enabled, and whether it changed, at the edge after each sample."""

INTERVAL = 499
"""Cycles from one sample to the next: a prime, so that samples do not fall into step with the loops of a network."""
ENOUGH = 4000
"""Number of samples used for a partition; more take longer and change little."""


@dataclass(frozen=True)
class Activity:
    """The activity of the registers of each key (``State.key``); element k belongs to ``keys[k]``.

    Attributes
    ----------
    keys
        The keys, in order.
    enabled
        Samples in which a register of the key was enabled, bit n for sample n.
    changed
        Samples in which one of them changed, likewise.
    samples
        How many there are.
    """

    keys: list[str]
    enabled: list[int]
    changed: list[int]
    samples: int

    def share(self, seen: int) -> float:
        """Fraction of all samples in ``seen``."""
        return seen.bit_count() / self.samples


def record(program: Program, memory: Memory, states: int, cycles: int | None = None,
           progress: Callable[[int], None] | None = None) -> Samples:
    """Runs ``program`` on ``memory`` to its end, or for the given number of cycles, and samples its ``states``.

    ``progress`` is called with the cycles so far. Raises ``BuildError`` if the simulator cannot be built.
    """
    driver = RtlDriver(build(accelerator(program.configuration), ACTIVITY), program, memory, Timing())
    simulator, taken = driver.simulator, []
    driver.start()
    begin = simulator.cycles
    while (cycles is None or simulator.cycles - begin < cycles) and simulator.run(INTERVAL) is Stop.LIMIT:
        taken.append(simulator.activity()[:states])
        if progress is not None:
            progress(simulator.cycles - begin)
    driver.close()
    return np.array(taken, np.bool_).reshape(-1, states, 2)


def by_key(states: Sequence[State], samples: Samples) -> Activity:
    """The activity of each key, from at most about ``ENOUGH`` of the samples, evenly chosen.

    Raises ``ValueError`` if there is no sample, or its number of states is wrong.
    """
    if not len(samples) or samples.shape[1:] != (len(states), 2):
        raise ValueError(f"samples of shape {samples.shape}: must be [1 or more, {len(states)}, 2]")
    chosen = samples[::max(1, len(samples) // ENOUGH)]
    members: dict[str, list[int]] = {}
    for index, state in enumerate(states):
        members.setdefault(state.key, []).append(index)
    keys = sorted(members)
    seen = [[_as_bits(chosen[:, members[key], kind].any(1)) for key in keys] for kind in (0, 1)]
    return Activity(keys, *seen, len(chosen))


def _as_bits(flags: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
