"""What is simulated: a way to make the hardware with what it depends on, and the variants in which it is built."""

import enum
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from arrayloom.isa.config import Config
from arrayloom.sim.rtl.process import ROOT


@dataclass(frozen=True)
class Design:
    """Hardware with the accelerator's ports.

    Attributes:
        name: for messages.
        word_bytes: bytes in one beat of its memory bus.
        parameters: text that changes with whatever ``make`` depends on other than ``sources``.
        sources: Python files, and folders of them, that describe the hardware.
        make: makes the Amaranth component. Called only when the Verilog is not in the cache.
        control: there are rules for its control state in ``arrayloom.hdl.control_rules``.
        banks: memories that together are its scratchpad, in order: names of instances and memory with dots between them.
    """

    name: str
    word_bytes: int
    parameters: str
    sources: tuple[Path, ...]
    make: Callable[[], Any]
    control: bool = False
    banks: tuple[str, ...] = ()

    def digest(self) -> str:
        """Hexadecimal digits that change with the parameters or the content of any source."""
        return digest_files(self._files(), self.name, str(self.word_bytes), self.parameters)

    def _files(self) -> Iterator[Path]:
        for source in self.sources:
            yield from sorted(source.rglob("*.py")) if source.is_dir() else [source]


def digest_files(files: Iterable[Path], *texts: str) -> str:
    """SHA-256 over the texts, and the names and contents of the files."""
    state = hashlib.sha256()
    contents = (part for file in files for part in (file.name.encode(), file.read_bytes()))
    for part in chain((text.encode() for text in texts), contents):
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)
    return state.hexdigest()


def accelerator(config: Config) -> Design:
    """The accelerator of that configuration."""
    def make() -> Any:
        from arrayloom.hdl.top import Accelerator

        return Accelerator(config)

    banks = tuple(f"memory.bank_{bank}" for bank in range(config.activation_banks))
    return Design(f"accelerator {config.name}", config.size, config.digest, (ROOT / "isa", ROOT / "hdl"), make, control=True,
                  banks=banks)


class WaveFormat(enum.StrEnum):
    """Formats of waveforms: text that every viewer reads, and GTKWave's compressed one."""

    VCD = "vcd"
    FST = "fst"

WIDEST_CONTROL = 4
"""Bits of a signal whose toggles are counted: states of state machines have no more, and data has."""
COUNTS = ("--coverage-line", "--coverage-toggle", "--coverage-max-width", str(WIDEST_CONTROL))


@dataclass(frozen=True)
class Variant:
    """What a build is for.

    Attributes:
        name: under which it is known.
        checks: assertions of the design fail the run, and what nothing initialises is random.
        waves: the format in which waveforms can be recorded, with the hierarchy of the design, or none.
        islands: registers sleep in islands (sim/rtl/islands).
        twin: a second model, in which every register is clocked in every cycle, must stay equal.
        activity: it can be asked which registers are enabled, and which change, at the next edge.
        coverage: it counts which lines and branches of the design were executed and which signals toggled.
        mutants: of a netlist with planted faults, of which one is chosen before a run (benchmarks/mutation); its activity is
            that of the faults.
        reference: compiled file by file, with the options of the build before there were islands, to measure against.

    Any with checks or waves finds a bus output that depends on a bus input within the cycle.
    """

    name: str
    checks: bool = False
    waves: WaveFormat | None = None
    islands: bool = False
    twin: bool = False
    activity: bool = False
    coverage: bool = False
    mutants: bool = False
    reference: bool = False

    @property
    def both_edges(self) -> bool:
        """Registers act on both clock edges, so that a cycle is one evaluation: only where speed is all."""
        return not self.checks and not self.coverage and self.waves is None

    @property
    def flat(self) -> bool:
        """Whether the hierarchy of the design is given up, and with it what only waveforms and coverage show."""
        return not self.coverage and self.waves is None

    @property
    def verilator_options(self) -> tuple[str, ...]:
        """Options for Verilator that this variant adds."""
        unknowns = "unique" if self.checks else "fast"
        return ("--x-assign", unknowns, "--x-initial", unknowns, *(("--assert",) if self.checks else ("--no-assert",)),
                *((f"--trace-{self.waves}",) if self.waves else ()),
                *(COUNTS if self.coverage else ()))


FAST = Variant("fast", islands=True)
SLEEPLESS = Variant("sleepless", reference=True)
ACTIVITY = Variant("activity", activity=True)
TWIN = Variant("twin", islands=True, twin=True)
COVERAGE = Variant("coverage", coverage=True)
MUTANTS = Variant("mutants", mutants=True, activity=True)
CHECKED = Variant("checked", checks=True)
WAVES = {waves: Variant(f"{waves} waves", waves=waves) for waves in WaveFormat}
