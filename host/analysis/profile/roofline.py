"""Bytes between memory and chip, and the roofline model: whether array or bus limits a layer.

Bytes by layer are computed from the instructions; the total is counted by the bus. Williams, Waterman, Patterson: Roofline,
an insightful visual performance model (CACM 52:4, 2009); here in multiply-accumulates and cycles, independent of
the clock.
"""

from dataclasses import dataclass, fields

from arrayloom.host.analysis.errors import ProfileError
from arrayloom.host.analysis.profile.attribution import Rows
from arrayloom.host.runtime.report import RunReport
from arrayloom.isa.config import Config
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction
from arrayloom.isa.instructions import (
    LOOKUP_TABLE_WORDS,
    LoadActivations,
    LoadLookupTable,
    LoadParameters,
    LoadWeights,
    Store,
)


@dataclass
class Traffic:
    """Bytes moved by LOAD and STORE, by kind."""

    weights: int = 0
    parameters: int = 0
    tables: int = 0
    activations: int = 0
    stored: int = 0

    @property
    def read(self) -> int:
        return self.weights + self.parameters + self.tables + self.activations

    @property
    def written(self) -> int:
        return self.stored

    def by_kind(self) -> dict[str, int]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class Memory:
    """Measured bytes on the bus in the whole run; ``instructions``: read by FETCH, including prefetch."""

    bytes_read: int
    bytes_written: int
    instructions: int
    moved: Traffic


def traffic_of(instructions: list[Instruction], rows: Rows, config: Config) -> list[Traffic]:
    """The traffic of each row."""
    result = [Traffic() for _ in rows.rows]
    for row, instruction in zip(rows.of_instruction, instructions, strict=True):
        kind, words = _moved(instruction, config)
        if words:
            setattr(result[row], kind, getattr(result[row], kind) + words * config.size)
    return result


def _moved(instruction: Instruction, config: Config) -> tuple[str, int]:
    """The kind of data that an instruction moves, and the number of words."""
    match instruction:
        case LoadWeights():
            return "weights", instruction.words
        case LoadParameters():
            return "parameters", instruction.entries * config.parameter_beats
        case LoadLookupTable():
            return "tables", LOOKUP_TABLE_WORDS
        case LoadActivations():
            return "activations", instruction.words * instruction.rows
        case Store():
            return "stored", instruction.words * instruction.rows
        case _:
            return "", 0


def measured(report: RunReport, rows: list[Traffic], config: Config, instructions: int) -> Memory:
    """The run's total; raises ``ProfileError`` if the bus counted more or less than the program moves."""
    names = [item.name for item in fields(Traffic)]
    moved = Traffic(**{name: sum(getattr(row, name) for row in rows) for name in names})
    read, written = (report.words_read or 0) * config.size, (report.words_written or 0) * config.size
    if written != moved.written or read < moved.read + instructions * INSTRUCTION_BYTES:
        raise ProfileError(f"the bus counted {read:,} bytes read and {written:,} written; the program's instructions move "
                           f"{moved.read:,} and {moved.written:,}, and are {instructions * INSTRUCTION_BYTES:,} bytes")
    return Memory(read, written, read - moved.read, moved)


@dataclass(frozen=True)
class Roofline:
    """Two ceilings: ``multipliers`` multiply-accumulates per cycle, and ``bus`` bytes per cycle in each direction."""

    multipliers: int
    bus: int

    @classmethod
    def of(cls, config: Config) -> "Roofline":
        return cls(config.multipliers, config.size)

    @property
    def ridge(self) -> float:
        """The intensity above which the array is the limit."""
        return self.multipliers / self.bus

    def intensity(self, macs: int, read: int, written: int) -> float | None:
        """Multiply-accumulates per byte of the busier direction, since both transfer concurrently; None if either is 0."""
        busier = max(read, written)
        return macs / busier if macs and busier else None

    def of_traffic(self, macs: int, traffic: Traffic) -> float | None:
        return self.intensity(macs, traffic.read, traffic.written)

    def ceiling(self, intensity: float) -> float:
        """The most multiply-accumulates per cycle at that intensity."""
        return min(float(self.multipliers), intensity * self.bus)

    def bound(self, intensity: float | None) -> str | None:
        """``array`` or ``bus``; None without an intensity."""
        if intensity is None:
            return None
        return "array" if intensity >= self.ridge else "bus"
