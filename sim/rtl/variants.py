"""The ways in which a design is built."""

import enum
from dataclasses import dataclass


class Waves(enum.StrEnum):
    """Formats of waveforms: text that every viewer reads, and GTKWave's compressed one."""

    VCD = "vcd"
    FST = "fst"


@dataclass(frozen=True)
class Variant:
    """What a build is for.

    Attributes:
        name: under which it is known.
        checks: assertions of the design fail the run, and what nothing initialises is random.
        waves: the format in which waveforms can be recorded, with the hierarchy of the design, or none.

    Any but the plain one finds a bus output that depends on a bus input within the cycle.
    """

    name: str
    checks: bool
    waves: Waves | None

    @property
    def both_edges(self) -> bool:
        """Registers act on both clock edges, so that a cycle is one evaluation: only where speed is all."""
        return not self.checks and self.waves is None

    @property
    def verilator_options(self) -> tuple[str, ...]:
        """Options for Verilator that this variant adds."""
        unknowns = "unique" if self.checks else "fast"
        return ("--x-assign", unknowns, "--x-initial", unknowns, *(("--assert",) if self.checks else ("--no-assert",)),
                *((f"--trace-{self.waves}",) if self.waves else ()))


FAST = Variant("fast", checks=False, waves=None)
CHECKED = Variant("checked", checks=True, waves=None)
WAVES = {waves: Variant(f"{waves} waves", checks=False, waves=waves) for waves in Waves}
