"""A compiled program: instructions, memory image and what the host must know, with its file form.

The file is ``MAGIC``, a 32-bit length, a JSON header of that length, the instructions, the constants, and the SHA-256 of
all before it.
"""

import hashlib
import itertools
import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.errors import ArrayloomError, EncodingError
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction
from arrayloom.isa.files import write_atomically
from arrayloom.isa.host_steps import HostStep, Quantize, step_from_json
from arrayloom.isa.instructions import decode
from arrayloom.isa.layout import Layout

MAGIC = b"LOOM\x00prog"
FORMER_MAGIC = b"WEFT\x00prog"      # of format versions up to 3
FORMAT_VERSION = 4
DIGEST_BYTES = 32
# Attributes that are in JSON as they are.
PLAIN = ("model", "code_address", "constants_address", "memory_bytes", "macs", "notes", "notices", "dtypes")


class ProgramError(ArrayloomError):
    """A program file that is damaged, of another version or for another configuration."""


class Stage(StrEnum):
    """What a POST instruction has done when a byte is a tensor's: its own operation, the add, or the lookup table."""

    OWN = "own"
    SUM = "sum"
    LOOKUP_TABLE = "lookup_table"


@dataclass(frozen=True)
class Slot:
    """A tensor in memory: ``address`` is the first byte of its ``layout``; ``dtype`` that of the model."""

    tensor: str
    address: int
    layout: Layout
    dtype: str


@dataclass(frozen=True)
class Input:
    """A model input. With ``quantize`` the host makes the slot's integers, otherwise the model takes integers itself.

    ``shape`` is the model's, without the batch.
    """

    name: str
    shape: tuple[int, ...]
    slot: Slot
    quantize: Quantize | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the model takes: float32, or the integers of the slot."""
        return np.dtype(np.float32) if self.quantize else np.dtype(self.slot.dtype)


@dataclass(frozen=True)
class Output:
    """A model output, or the features. ``tail``: the steps in order that the host applies to the slot's integers."""

    name: str
    shape: tuple[int, ...]
    slot: Slot
    tail: tuple[HostStep, ...]


@dataclass(frozen=True)
class Probe:
    """Where bytes of a tensor can be seen: after ``stage`` of a POST instruction, or of a whole step while it is compiled.

    What is computed there are rows from ``y`` and columns from ``x`` of block ``block`` of the tensor's layout.
    """

    tensor: str
    stage: Stage
    block: int = 0
    y: int = 0
    x: int = 0

    def moved(self, block: int, y: int, x: int) -> Self:
        """The probe of what lies so many blocks, rows and columns further on."""
        return replace(self, block=self.block + block, y=self.y + y, x=self.x + x)


@dataclass(frozen=True)
class Layer:
    """One operator of the graph: its instructions, ``runs`` of [first, last) in order, and the multiply-accumulates it
    stands for. Operators that one instruction executes together share it."""

    name: str
    operator: str
    runs: tuple[tuple[int, int], ...]
    macs: int

    @property
    def first(self) -> int:
        return self.runs[0][0]

    @property
    def last(self) -> int:
        return self.runs[-1][1]

    @property
    def instructions(self) -> Iterator[int]:
        """The indices of its instructions in the program."""
        return itertools.chain.from_iterable(itertools.starmap(range, self.runs))


@dataclass
class Program:
    """A compiled network for one configuration, ``configuration``, which the file holds whole.

    ``instructions``: uint8[n * 64], placed at memory offset ``code_address``; ``constants``: uint8, placed at
    ``constants_address``; the memory that a run needs is ``memory_bytes`` long and starts at a multiple of 4096.
    ``probes``: by the index of a POST instruction, what it shows of tensors; ``layouts`` and ``dtypes`` of all tensors by
    name, for probes. ``notes``: sentences about what the compiler decided; ``notices``: what every output about the model
    must repeat, such as that its weights are random.
    """

    configuration: Config
    model: str
    instructions: NDArray[np.uint8]
    constants: NDArray[np.uint8]
    code_address: int
    constants_address: int
    memory_bytes: int
    inputs: list[Input]
    outputs: list[Output]
    features: Output | None
    layers: list[Layer]
    probes: dict[int, tuple[Probe, ...]]
    layouts: dict[str, Layout]
    dtypes: dict[str, str]
    macs: int
    notes: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def config(self) -> str:
        """The configuration's name."""
        return self.configuration.name

    @property
    def config_digest(self) -> str:
        """The configuration's digest."""
        return self.configuration.digest

    def __len__(self) -> int:
        return len(self.instructions) // INSTRUCTION_BYTES

    def __iter__(self) -> Iterator[Instruction]:
        data = self.instructions.tobytes()
        for start in range(0, len(data), INSTRUCTION_BYTES):
            yield decode(data[start:start + INSTRUCTION_BYTES])

    def require(self, config: Config) -> None:
        """Raises ``ProgramError`` when the program was compiled for another configuration."""
        if config.digest != self.config_digest:
            raise ProgramError(f"the program was compiled for configuration {self.config} ({self.config_digest}), not "
                               f"for {config.name} ({config.digest}); compile it again with that --config")

    def to_bytes(self) -> bytes:
        header = {"version": FORMAT_VERSION, "instruction_bytes": len(self.instructions),
                  "constant_bytes": len(self.constants)} | self._metadata()
        text = json.dumps(header, separators=(",", ":")).encode()
        body = b"".join([MAGIC, struct.pack("<I", len(text)), text, self.instructions.tobytes(), self.constants.tobytes()])
        return body + hashlib.sha256(body).digest()

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all; raises ``ProgramError`` where it cannot be written."""
        try:
            with write_atomically(path) as file:
                file.write(self.to_bytes())
        except OSError as error:
            raise ProgramError(f"{path}: cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: Path) -> Self:
        try:
            return cls.from_bytes(path.read_bytes(), str(path))
        except OSError as error:
            raise ProgramError(f"{path}: cannot be read: {error.strerror}") from None

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "program") -> Self:
        """The program in a file's bytes; raises ``ProgramError`` when they are damaged or of another version."""
        if data.startswith(FORMER_MAGIC):
            raise ProgramError(f"{name}: a program of an earlier version of Arrayloom; compile the model again")
        if not data.startswith(MAGIC):
            raise ProgramError(f"{name}: not an Arrayloom program; make one with: "
                               "arrayloom compile MODEL.onnx -o PROGRAM.loom")
        body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            raise ProgramError(f"{name}: damaged (its checksum does not fit); compile the model again")
        start = len(MAGIC) + 4
        end = start + struct.unpack("<I", body[start - 4:start])[0]
        header = json.loads(body[start:end])
        if header["version"] != FORMAT_VERSION:
            raise ProgramError(f"{name}: version {header['version']} of the program format, this Arrayloom reads "
                               f"{FORMAT_VERSION}; compile the model again")
        code_end = end + header["instruction_bytes"]
        payload = np.frombuffer(body, np.uint8)
        return cls(instructions=payload[end:code_end], constants=payload[code_end:], **_from_metadata(header))

    def _metadata(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PLAIN} | {
            "config": asdict(self.configuration),
            "inputs": [_port_json(port) for port in self.inputs],
            "outputs": [_port_json(port) for port in self.outputs],
            "features": _port_json(self.features) if self.features else None,
            "layers": [asdict(layer) for layer in self.layers],
            "probes": [(probe.tensor, index, probe.stage, probe.block, probe.y, probe.x)
                       for index, probes in self.probes.items() for probe in probes],
            "layouts": {name: layout.to_json() for name, layout in self.layouts.items()},
        }


def is_program(path: Path) -> bool:
    """Whether a file is a program, by its name or by its first bytes, of this format version or of an earlier one."""
    if path.suffix == ".loom":
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) in (MAGIC, FORMER_MAGIC)
    except OSError:
        return False


def _port_json(port: Input | Output) -> dict[str, Any]:
    if isinstance(port, Input):
        steps: dict[str, Any] = {"quantize": port.quantize and port.quantize.to_json()}
    else:
        steps = {"tail": [step.to_json() for step in port.tail]}
    return {**vars(port), "slot": {**vars(port.slot), "layout": port.slot.layout.to_json()}} | steps


def _input(value: dict[str, Any]) -> Input:
    step = value["quantize"] and step_from_json(value["quantize"])
    if not isinstance(step, Quantize | None):
        raise EncodingError(f"input {value['name']!r}: host step {step.tag!r} cannot make its integers; only 'quantize' can")
    return Input(**_port(value) | {"quantize": step})


def _output(value: dict[str, Any]) -> Output:
    return Output(**_port(value) | {"tail": tuple(step_from_json(step) for step in value["tail"])})


def _port(value: dict[str, Any]) -> dict[str, Any]:
    """What inputs and outputs have alike."""
    slot = Slot(**{**value["slot"], "layout": Layout.from_json(value["slot"]["layout"])})
    return {**value, "shape": tuple(value["shape"]), "slot": slot}


def _layer(value: dict[str, Any]) -> Layer:
    return Layer(**{**value, "runs": tuple((first, last) for first, last in value["runs"])})


def _probes(rows: list[tuple[str, int, str, int, int, int]]) -> dict[int, tuple[Probe, ...]]:
    found: dict[int, tuple[Probe, ...]] = {}
    for tensor, index, stage, block, y, x in rows:
        found[index] = (*found.get(index, ()), Probe(tensor, Stage(stage), block, y, x))
    return found


def _from_metadata(header: dict[str, Any]) -> dict[str, Any]:
    try:
        return {name: header[name] for name in PLAIN} | {
            "configuration": Config(**header["config"]),
            "inputs": [_input(value) for value in header["inputs"]],
            "outputs": [_output(value) for value in header["outputs"]],
            "features": _output(header["features"]) if header["features"] else None,
            "layers": [_layer(value) for value in header["layers"]],
            "probes": _probes(header["probes"]),
            "layouts": {name: Layout.from_json(value) for name, value in header["layouts"].items()},
        }
    except (KeyError, TypeError, ValueError) as error:
        raise EncodingError(f"the program's header lacks or misspells {error}") from None
