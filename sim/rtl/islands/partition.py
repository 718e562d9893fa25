"""Which island a register belongs to, from how often the registers of a trained design were seen to change.

table.json is written by ``python -m benchmarks.islands``, from runs of a real network. One table serves every configuration,
as its registers are named without the numbers of rows and lanes. A register that it does not know, such as that of a changed
design, sleeps with the others of its unit: slower perhaps, and never wrong.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

from arrayloom.sim.rtl.islands.state import REGISTERS, State
from arrayloom.sim.rtl.islands.terms import Activity

TABLE = Path(__file__).parent / "table.json"
MOST_ISLANDS = 61
"""With the three of the inputs, what one word of triggers has bits for."""
REST = "rest"
WIDEST_COMPARED = 64
"""Bits above which comparing a register that the table does not know costs more than what it may save."""


class Partition:
    """A division of registers into islands.

    Parameters
    ----------
    registers : dict of str to str
        Island by ``State.key``.
    by_enable : set of str
        Keys of registers that count as changing whenever they are enabled.
    always : set of str
        Islands that change in nearly every cycle: nothing is computed for them, they are always awake.
    awake : sequence of (sequence of str, float)
        Sets of islands that were seen awake together, with the share of cycles; they decide how the logic of ``wake`` is
        laid out, and nothing else.
    """

    def __init__(self, registers: dict[str, str], by_enable: Collection[str] = (), always: Collection[str] = (),
                 awake: Sequence[tuple[Sequence[str], float]] = ()) -> None:
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
        """Whether the table names the register, so that its place was chosen and not guessed."""
        return state.key in self._registers

    def exact(self, state: State) -> bool:
        """Whether the register counts as changing only when its value does."""
        if not self.knows(state):
            return state.cell.kind in REGISTERS and len(state.cell.ports["Q"]) <= WIDEST_COMPARED
        return state.key not in self._by_enable

    def always(self, island: str) -> bool:
        """Whether the island is always awake."""
        return island in self._always

    def activity(self, names: Sequence[str]) -> Activity:
        """What was seen awake together, for islands numbered in the order of ``names``; an even guess when nothing was."""
        numbers = {name: number for number, name in enumerate(names)}
        if not self._awake:
            return [(1 << number, 1 / len(names)) for number in range(len(names))]
        return [(sum(1 << numbers[name] for name in islands if name in numbers), share) for islands, share in self._awake]


@cache
def trained_partition() -> Partition:
    """The partition of table.json."""
    table = json.loads(TABLE.read_text())
    registers = {key: island for island, entry in table["islands"].items() for key in entry["registers"]}
    always = {island for island, entry in table["islands"].items() if entry["always"]}
    names, total = list(table["islands"]), sum(count for _, count in table["awake"])
    awake = [([names[number] for number in numbers], count / total) for numbers, count in table["awake"]]
    return Partition(registers, set(table["by_enable"]), always, awake)
