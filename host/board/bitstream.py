"""Builds a bitstream from a system: LiteX, Yosys, nextpnr, ecppack."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arrayloom.host.analysis.synthesis import yosys
from arrayloom.host.analysis.synthesis.families import ECP5, ecp5_mapping
from arrayloom.host.analysis.synthesis.flow import Usage, placed_usage
from arrayloom.host.analysis.synthesis.nextpnr import PLACER, STAGES
from arrayloom.host.analysis.synthesis.tools import ECPPACK, NEXTPNR, YOSYS, stage_reporter
from arrayloom.host.board.bitstream_files import FIGURES, LOADABLE, NETLIST, REPORT
from arrayloom.host.board.boards import Board
from arrayloom.host.board.extra import require_extra, versions
from arrayloom.host.board.quiet import quiet
from arrayloom.host.runtime.errors import BoardError, InputError
from arrayloom.host.runtime.export import TOP
from arrayloom.isa.config import Config
from arrayloom.sim.rtl.process import Report

OF_LITEX = ("{name}.ys", "build_{name}.sh")    # LiteX's own flow through the tools, which is not used

_PLACER = NEXTPNR[ECP5.name]


@dataclass(frozen=True)
class BoardBuild:
    """The results of a build, as far as it got.

    Attributes
    ----------
    clock_mhz
        Clock frequency that routing reaches for the system; None before routing.
    usage
        Use of the chip by resource; the totals are known only after routing, which also adds LUTs as wires.
    seconds
        Seconds by stage.
    bitstream
        The file; None unless it was made.
    """

    board: str
    chip: str
    config: str
    seed: int
    target_mhz: float
    clock_mhz: float | None
    usage: dict[str, Usage]
    seconds: dict[str, float]
    versions: dict[str, str]
    bitstream: str | None

    @property
    def clock_met(self) -> bool:
        """False if the system is slower than its target clock."""
        return self.clock_mhz is None or self.clock_mhz >= self.target_mhz

    def figures(self) -> dict[str, Any]:
        """All figures under their names in ``--json``."""
        return {**asdict(self), "clock_met": self.clock_met}


class BoardFlow:
    """The stages of a build of ``board`` in ``folder``, each of which leaves its files there."""

    def __init__(self, board: Board, chip: str, config: Config, clock_mhz: float, seed: int, folder: Path,
                 report: Report) -> None:
        require_extra()
        self.board, self.chip, self.config = board, board.chip(chip), config
        self.clock_mhz, self.seed, self.folder, self.report = clock_mhz, seed, folder, report
        self.seconds: dict[str, float] = {}
        self.versions = dict(text.split() for text in versions()) | {tool.wheel: tool.version() for tool in (YOSYS, _PLACER)}

    def generate(self) -> None:
        """Writes the system's Verilog, the content of its ROM, its pins (``.lpf``) and its registers (``csr.csv``).

        Raises ``InputError`` if the folder cannot be written.
        """
        self.report(f"make the system for {self.board.title}")
        self._timed("litex", self._generate)

    def synthesize(self) -> None:
        """Makes the netlist. Raises ``SynthesisError`` if Yosys fails."""
        self._timed("yosys", lambda: YOSYS.run(["-l", yosys.LOG, "-p", self._script()], self.folder,
                                               stage_reporter("yosys", yosys.STAGES, self.report)))

    def route(self) -> None:
        """Places and routes. Raises ``SynthesisError`` if nextpnr fails or the chip is too small."""
        name = self.board.name
        arguments = [*self.board.chips[self.chip], *PLACER[ECP5.name], "--log", "nextpnr.log", "--json", NETLIST, "--lpf",
                     f"{name}.lpf", "--textcfg", f"{name}.config", "--report", REPORT, "--seed", str(self.seed),
                     "--timing-allow-fail"]
        self._timed("nextpnr", lambda: _PLACER.run(arguments, self.folder, stage_reporter("nextpnr", STAGES, self.report)))

    def pack(self) -> None:
        """Makes the bitstream. Raises ``SynthesisError`` if ecppack fails."""
        self.report("ecppack")
        name = self.board.name
        arguments = ["--compress", "--input", f"{name}.config", "--bit", f"{name}.{LOADABLE}", "--svf", f"{name}.svf"]
        self._timed("ecppack", lambda: ECPPACK.run(arguments, self.folder, lambda _: None))

    def finish(self) -> BoardBuild:
        """The results, also written to ``build.json``."""
        routed, packed = (self.folder / REPORT).exists(), self.folder / f"{self.board.name}.{LOADABLE}"
        found = BoardBuild(
            board=self.board.name, chip=self.chip, config=self.config.name, seed=self.seed, target_mhz=self.clock_mhz,
            clock_mhz=self._clock() if routed else None, usage=self._usage() if routed else self._counted(),
            seconds=self.seconds, versions=self.versions, bitstream=str(packed) if packed.exists() else None)
        (self.folder / FIGURES).write_text(json.dumps(found.figures(), indent=2) + "\n")
        return found

    def _generate(self) -> None:
        from litex.soc.integration.export import get_csr_csv

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for old in self._outputs():
                old.unlink(missing_ok=True)
            with quiet():
                system = self.board.make()(self.config, self.chip, self.clock_mhz * 1e6, self.folder)
                system.build(build_dir=str(self.folder), build_name=self.board.name, run=False)
            for pattern in OF_LITEX:
                (self.folder / pattern.format(name=self.board.name)).unlink()
            (self.folder / "csr.csv").write_text(get_csr_csv(system.csr_regions, system.constants, system.mem_regions))
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written: {error.strerror}") from None

    def _outputs(self) -> list[Path]:
        """Removes the files of later stages, which would be out of date."""
        names = (NETLIST, REPORT, FIGURES, *(f"{self.board.name}.{suffix}" for suffix in ("config", LOADABLE, "svf")))
        return [self.folder / name for name in names]

    def _script(self) -> str:
        """Yosys' options. The accelerator never relies on the result of reading a word that is written in the same cycle (as
        in ``arrayloom synth``), but LiteX may."""
        name = self.board.name
        return (f"read_verilog {TOP}_{self.config.name}.v; setattr -set no_rw_check 1 */m:*; read_verilog {name}.v; "
                f"attrmap -tocase keep -imap keep=\"true\" keep=1 -imap keep=\"false\" keep=0 -remove keep=0; "
                f"{ecp5_mapping(name)}; write_json {NETLIST}")

    def _clock(self) -> float:
        """The frequency that routing reaches for the system's clock, the fastest of the clocks generated for it."""
        clocks = json.loads((self.folder / REPORT).read_text())["fmax"]
        wanted = {name: clock for name, clock in clocks.items() if abs(clock["constraint"] - self.clock_mhz) < 1}
        if not wanted:
            raise BoardError(f"{self.folder / REPORT}: no clock of {self.clock_mhz:g} MHz was routed, but "
                             f"{', '.join(clocks)}")
        return min(float(clock["achieved"]) for clock in wanted.values())

    def _counted(self) -> dict[str, Usage]:
        """Cells made by Yosys; only nextpnr knows the available number."""
        netlist = json.loads((self.folder / NETLIST).read_text())
        return {name: Usage(count, None) for name, count in yosys.count_all(netlist, ECP5, self.board.name).items()}

    def _usage(self) -> dict[str, Usage]:
        used = json.loads((self.folder / REPORT).read_text())["utilization"]
        return placed_usage(ECP5, used)

    def _timed(self, stage: str, work: Callable[[], None]) -> None:
        begin = time.perf_counter()
        work()
        self.seconds[stage] = time.perf_counter() - begin
