"""Assigns registers to islands, from the recorded activity of a design's registers.

table.json is written by ``python -m benchmarks.islands``, from runs of a real network. One table serves every configuration,
as its registers are named without the numbers of rows and lanes. An unknown register, for example of a changed design, is
assigned with the others of its unit: this may be slower, but is never wrong. The table contains digests of the register
names for which it was made; ``python -m benchmarks.islands --check`` checks whether it must be made again.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from arrayloom.sim.rtl.islands.state import REGISTERS, State
from arrayloom.sim.rtl.islands.terms import Activity

TABLE = Path(__file__).parent / "table.json"
MOST_ISLANDS = 61
"""Most islands: with the three of the inputs, one word of trigger bits."""
REST = "rest"
WIDEST_COMPARED = 64
"""Width above which comparing an unknown register costs more than it may save."""

UNKNOWN_ALLOWED = 0.05
"""Fraction of a preset's registers that may be unknown; above it, the table must be made again."""


def digest_keys(states: Iterable[State]) -> str:
    """A digest of the names of registers and memories, independent of the number of rows."""
    return hashlib.sha256("\n".join(sorted({state.key for state in states})).encode()).hexdigest()


class Partition:
    """A division of registers into islands.

    Parameters
    ----------
    registers : dict of str to str
        Island by ``State.key``.
    by_enable : set of str
        Keys of registers that count as changing whenever they are enabled.
    always : set of str
        Islands that change in nearly every cycle: they are always active, without any test.
    awake : sequence of (sequence of str, float)
        Sets of islands that were active together, with the fraction of cycles; they affect only the structure
        of the ``wake`` logic.
    made_for : dict of str to str
        ``digest_keys`` of each preset for which the table was made.
    """

    def __init__(self, registers: dict[str, str], by_enable: Collection[str] = (), always: Collection[str] = (),
                 awake: Sequence[tuple[Sequence[str], float]] = (), made_for: Mapping[str, str] | None = None) -> None:
        self.made_for = dict(made_for or {})
        self._registers, self._by_enable, self._always, self._awake = registers, by_enable, always, awake
        units: dict[str, Counter[str]] = {}
        for key, island in registers.items():
            units.setdefault(key.partition("/")[0], Counter())[island] += 1
        self._units = {unit: found.most_common(1)[0][0] for unit, found in units.items()}

    def island(self, state: State) -> str:
        """Name of the island of that register or port."""
        if state.key in self._registers:
            return self._registers[state.key]
        unit = state.key.partition("/")[0]
        while unit and unit not in self._units:
            unit = unit.rpartition(".")[0]
        return self._units.get(unit, REST)

    def knows(self, state: State) -> bool:
        """Whether the table contains the register, so that its island is not a guess."""
        return state.key in self._registers

    def unknown_share(self, states: Iterable[State]) -> float:
        """Fraction of the distinct keys of ``states`` that are unknown; requires at least one."""
        known = {state.key: self.knows(state) for state in states}
        return 1 - sum(known.values()) / len(known)

    def exact(self, state: State) -> bool:
        """Whether the register counts as changing only if its value does."""
        if not self.knows(state):
            return state.cell.kind in REGISTERS and len(state.cell.ports["Q"]) <= WIDEST_COMPARED
        return state.key not in self._by_enable

    def always(self, island: str) -> bool:
        """Whether the island is always active."""
        return island in self._always

    def activity(self, names: Sequence[str]) -> Activity:
        """The sets of islands active together, numbered in the order of ``names``; a uniform guess if none were recorded."""
        numbers = {name: number for number, name in enumerate(names)}
        if not self._awake:
            return [(1 << number, 1 / len(names)) for number in range(len(names))]
        return [(sum(1 << numbers[name] for name in islands if name in numbers), share) for islands, share in self._awake]


@cache
def trained_partition() -> Partition:
    """The partition of table.json."""
    return read_partition(TABLE)


def read_partition(file: Path) -> Partition:
    """Reads the partition from a table written by ``python -m benchmarks.islands``."""
    table = json.loads(file.read_text())
    registers = {key: island for island, entry in table["islands"].items() for key in entry["registers"]}
    always = {island for island, entry in table["islands"].items() if entry["always"]}
    names, total = list(table["islands"]), sum(count for _, count in table["awake"])
    awake = [([names[number] for number in numbers], count / total) for numbers, count in table["awake"]]
    return Partition(registers, set(table["by_enable"]), always, awake, table["made_for"])
