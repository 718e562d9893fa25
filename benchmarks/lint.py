"""Verilator's warnings about the output of ``arrayloom verilog``: their number, and those that no waiver explains.

The waivers are those of the file exported with the Verilog. Exit code 1 for a warning without a waiver, and for a
waiver without a warning in any configuration.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from arrayloom.host.runtime.export import TOP, WAIVERS, export_verilog
from arrayloom.isa.config import PRESETS, Config, load_config
from arrayloom.sim.rtl.errors import BuildError
from arrayloom.sim.rtl.process import DEEP_STACK, Stopwatch
from arrayloom.sim.rtl.toolchain import find_toolchain
from benchmarks.command import OUTSIDE, SUCCESS, parser_of, run
from benchmarks.output import deliver
from benchmarks.wildcards import matches

OPTIONS = ("--lint-only", "-Wall", "-Wno-fatal", "--top-module", TOP)
_WARNING = re.compile(r"^%Warning-(\w+): \S+?:\d+:\d+: (.*)$", re.MULTILINE)
_ERROR = re.compile(r"^%Error(?!: Exiting).*$", re.MULTILINE)
_WAIVER = re.compile(r'lint_off -rule (\w+) -file "[^"]*" -match "([^"]*)"')


@dataclass(frozen=True)
class Warning:
    """A warning of Verilator; ``text`` is its first line, without the location."""

    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


@dataclass(frozen=True)
class Waiver:
    """A line of the waiver file, with the comment above it as its reason."""

    rule: str
    pattern: str
    reason: str

    def explains(self, warning: Warning) -> bool:
        """Whether Verilator drops the warning for this waiver."""
        return self.rule == warning.rule and matches(self.pattern, warning.text)


@dataclass(frozen=True)
class Lint:
    """The warnings of one configuration: all, and those left with the waivers."""

    warnings: list[Warning]
    unexplained: list[Warning]

    def figures(self) -> dict[str, object]:
        return {"warnings": len(self.warnings), "waived": len(self.warnings) - len(self.unexplained),
                "unexplained": [str(warning) for warning in self.unexplained]}


def read_waivers(text: str) -> list[Waiver]:
    """Parses the waiver file. Raises ``ValueError`` for a line that is neither a waiver with a reason nor empty."""
    waivers, reason, explained = [], "", False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("//"):
            reason, explained = (line[2:].strip() if explained or not reason else f"{reason} {line[2:].strip()}"), False
        elif found := _WAIVER.fullmatch(line):
            if not reason:
                raise ValueError(f"{WAIVERS.name}:{number}: no comment above says why")
            waivers.append(Waiver(found[1], found[2], reason))
            explained = True
        elif not line:
            reason = ""
        elif line != "`verilator_config":
            raise ValueError(f"{WAIVERS.name}:{number}: {line!r} is not understood: write 'lint_off -rule RULE -file FILE "
                             "-match TEXT'")
    return waivers


def unused(waivers: Iterable[Waiver], lints: Iterable[Lint]) -> list[str]:
    """The waivers that explain no warning."""
    warnings = [warning for lint in lints for warning in lint.warnings]
    return [f"{waiver.rule}: {waiver.pattern}" for waiver in waivers if not any(map(waiver.explains, warnings))]


def lint(config: Config, folder: Path) -> Lint:
    """Exports ``config`` into ``folder`` and lints it there, as a user does."""
    files = {file.suffix: file for file in export_verilog(config, folder)}
    return lint_verilog(files[".v"], files[".vlt"])


def lint_verilog(verilog: Path, waivers: Path) -> Lint:
    """Verilator's warnings without and with the waivers. Raises ``BuildError`` if it refuses the file."""
    return Lint(_warnings(verilog), _warnings(waivers, verilog))


def _warnings(*files: Path) -> list[Warning]:
    tools = find_toolchain()
    done = subprocess.run([*DEEP_STACK, str(tools.verilator), *OPTIONS, *map(str, files)], env=tools.environment(),
                          capture_output=True, text=True, check=False)
    if done.returncode:
        errors = _ERROR.findall(done.stderr) or [done.stderr[-2000:]]
        raise BuildError(f"{files[-1]}: Verilator refuses it: {errors[0]}")
    return [Warning(*found) for found in _WARNING.findall(done.stderr)]


def main() -> int:
    parser = parser_of("benchmarks.lint", __doc__)
    parser.add_argument("--config", action="append", metavar="NAME|FILE.toml",
                        help=f"accelerator; may be given several times (default {', '.join(PRESETS)})")
    return run(parser, _action)


def _action(options: argparse.Namespace) -> int:
    report, found = Stopwatch(), {}
    for name in options.config or PRESETS:
        report(f"lint {name}")
        with TemporaryDirectory() as folder:
            found[name] = lint(load_config(name), Path(folder))
    useless = unused(read_waivers(WAIVERS.read_text()), found.values())
    figures = {name: one.figures() for name, one in found.items()}
    if deliver(options, {"configs": figures, "unused_waivers": useless}):
        for name, one in found.items():
            print(f"{name}: {len(one.warnings)} warnings, {len(one.unexplained)} of them without a waiver")
    for text in [str(warning) for one in found.values() for warning in one.unexplained]:
        print(f"without a waiver: {text}", file=sys.stderr)
    for text in useless:
        print(f"explains no warning: {text}", file=sys.stderr)
    return OUTSIDE if useless or any(one.unexplained for one in found.values()) else SUCCESS


if __name__ == "__main__":
    sys.exit(main())
