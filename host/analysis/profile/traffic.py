"""Bytes between memory and chip: by layer as the instructions say, in total as the bus counted them."""

from dataclasses import dataclass, fields

from arrayloom.host.analysis.profile.attribution import ProfileError
from arrayloom.host.analysis.profile.rows import Rows
from arrayloom.host.runtime.report import RunReport
from arrayloom.isa.config import Config
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction
from arrayloom.isa.instructions import TABLE_WORDS, LoadActivations, LoadParameters, LoadTable, LoadWeights, Store


@dataclass
class Traffic:
    """Bytes that LOAD and STORE move, by what they are."""

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
    """Bytes on the bus in the whole run, as measured; ``instructions``: read by FETCH, with what it read ahead."""

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
    """What an instruction moves, and how many words of it."""
    match instruction:
        case LoadWeights():
            return "weights", instruction.words
        case LoadParameters():
            return "parameters", instruction.entries * config.parameter_beats
        case LoadTable():
            return "tables", TABLE_WORDS
        case LoadActivations():
            return "activations", instruction.words * instruction.rows
        case Store():
            return "stored", instruction.words * instruction.rows
        case _:
            return "", 0


def measured(report: RunReport, rows: list[Traffic], config: Config, instructions: int) -> Memory:
    """The run's total; raises ``ProfileError`` when the bus counted less or more than the program moves."""
    names = [item.name for item in fields(Traffic)]
    moved = Traffic(**{name: sum(getattr(row, name) for row in rows) for name in names})
    read, written = (report.words_read or 0) * config.size, (report.words_written or 0) * config.size
    if written != moved.written or read < moved.read + instructions * INSTRUCTION_BYTES:
        raise ProfileError(f"the bus counted {read:,} bytes read and {written:,} written; the program's instructions move "
                           f"{moved.read:,} and {moved.written:,}, and are {instructions * INSTRUCTION_BYTES:,} bytes")
    return Memory(read, written, read - moved.read, moved)
