"""The three ways in which a design is built."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """What a build is for.

    Attributes:
        name: under which it is known.
        checks: assertions of the design fail the run, and what nothing initialises is random.
        waves: waveforms can be recorded, with the hierarchy of the design.

    Any but the plain one finds a bus output that depends on a bus input within the cycle.
    """

    name: str
    checks: bool
    waves: bool

    @property
    def both_edges(self) -> bool:
        """Registers act on both clock edges, so that a cycle is one evaluation: only where speed is all."""
        return not (self.checks or self.waves)

    @property
    def verilator_options(self) -> tuple[str, ...]:
        """Options for Verilator that this variant adds."""
        unknowns = "unique" if self.checks else "fast"
        return ("--x-assign", unknowns, "--x-initial", unknowns, *(("--assert",) if self.checks else ("--no-assert",)),
                *(("--trace-vcd",) if self.waves else ()))


FAST = Variant("fast", checks=False, waves=False)
CHECKED = Variant("checked", checks=True, waves=False)
WAVES = Variant("waves", checks=False, waves=True)
