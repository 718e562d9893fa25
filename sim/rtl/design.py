"""Simulated designs: how to make the hardware and what it depends on, and the variants of a build."""

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

    Attributes
    ----------
    name
        Name for messages.
    word_bytes
        Bytes in one beat of its memory bus.
    parameters
        Text that changes with everything that ``make`` depends on, except ``sources``.
    sources
        Python files, and folders of them, that describe the hardware.
    make
        Makes the Amaranth component. Called only when the Verilog is not in the cache.
    control
        Whether ``arrayloom.hdl.control_rules`` has rules for its control state.
    banks
        Memories that form its scratchpad, in order: names of instances and memory, separated by dots.
    """

    name: str
    word_bytes: int
    parameters: str
    sources: tuple[Path, ...]
    make: Callable[[], Any]
    control: bool = False
    banks: tuple[str, ...] = ()

    def digest(self) -> str:
        """A digest of the parameters and the content of all sources."""
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
"""Widest signal whose toggles are counted: states of state machines are not wider, but data is."""
COUNTS = ("--coverage-line", "--coverage-toggle", "--coverage-max-width", str(WIDEST_CONTROL))


@dataclass(frozen=True)
class Variant:
    """A variant of a build.

    Attributes
    ----------
    name
        Name of the variant.
    checks
        Assertions of the design fail the run, and uninitialized state is random.
    waves
        Format of waveforms, which include the hierarchy of the design, or none.
    islands
        Idle registers are skipped by islands (sim/rtl/islands).
    twin
        A second model, in which every register is clocked in every cycle, must stay equal.
    activity
        It reports which registers are enabled, and which change, at the next edge.
    coverage
        It counts which lines and branches of the design were executed and which signals toggled.
    mutants
        The netlist has planted faults, one of which is selected before a run (benchmarks/mutation); its activity is
        that of the faults.
    reference
        Compiled file by file, with the options used before islands existed, for comparison.

    Variants with checks or waves detect a bus output that depends combinationally on a bus input.
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
        """Whether registers act on both clock edges, so that a cycle is one evaluation; only in variants for speed."""
        return not self.checks and not self.coverage and self.waves is None

    @property
    def flat(self) -> bool:
        """Whether the hierarchy of the design is flattened, which only waveforms and coverage need."""
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
