"""A compiled program: instructions, memory image and information for the host, and its file format.

The file is ``MAGIC``, a 32-bit length, a JSON header of that length, the instructions, the constants, the ONNX models of
the host's head and tail, if any, and the SHA-256 of everything before it.
"""

import hashlib
import itertools
import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self, get_type_hints

import numpy as np
from numpy.typing import NDArray

from arrayloom.isa.config import Config
from arrayloom.isa.errors import ArrayloomError, EncodingError
from arrayloom.isa.fields import INSTRUCTION_BYTES, Instruction
from arrayloom.isa.files import write_atomically
from arrayloom.isa.host_parts import HostNode, HostPart, HostWork, InsertedRounding, ModelPort
from arrayloom.isa.instructions import ADDRESS, decode
from arrayloom.isa.layout import Layout
from arrayloom.isa.model_ports import check_model_ports, ports_of_inputs, ports_of_outputs
from arrayloom.isa.ports import Input, Output
from arrayloom.isa.records import BytesType, mapping, read, record
from arrayloom.isa.registers import CYCLE_BITS, RESET_VALUES, Register

MAGIC = b"LOOM\x00prog"
FORMER_MAGIC = b"WEFT\x00prog"      # first bytes of format versions up to 3
FORMAT_VERSION = 6
SUFFIX = ".loom"                    # of program files
DIGEST_BYTES = 32
NOTICE_NOTE = "notice: "            # prefix of a note that repeats a notice
LENGTH = struct.Struct("<I")
# attributes stored in JSON unchanged
PLAIN = ("model", "code_address", "constants_address", "memory_bytes", "write_base", "cycle_limit", "macs", "notes",
         "notices", "labels", "dtypes")


class ProgramError(ArrayloomError):
    """A program file is damaged, of another version or for another configuration."""


class Stage(StrEnum):
    """The stage of a POST instruction after which its bytes are a tensor's: its own operation, the add, or the lookup
    table."""

    OWN = "own"
    SUM = "sum"
    LOOKUP_TABLE = "lookup_table"


@dataclass(frozen=True)
class Probe:
    """A place where bytes of a tensor can be observed: after ``stage`` of a POST instruction, or of a whole step during
    compilation.

    The result there consists of rows from ``y`` and columns from ``x``, in words, of block ``block`` of the tensor's layout.
    """

    tensor: str
    stage: Stage
    block: int = 0
    y: int = 0
    x: int = 0

    def moved(self, block: int, y: int, x: int) -> Self:
        """The probe shifted by a number of blocks, rows and columns."""
        return replace(self, block=self.block + block, y=self.y + y, x=self.x + x)


@dataclass(frozen=True)
class Layer:
    """One operator of the graph: its instructions, ``runs`` of [first, last) in order, and its multiply-accumulates.
    Operators executed by a common instruction share it."""

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
    """A compiled network for one ``configuration``, which the file contains completely.

    ``instructions``: uint8[n * 64], placed at memory offset ``code_address``; ``constants``: uint8, placed at
    ``constants_address``; the memory that a run needs is ``memory_bytes`` long and starts at a multiple of 4096. It stores
    nothing before offset ``write_base``. ``cycle_limit``: upper bound of a run's cycles, or 0.
    ``probes``: the observable parts of tensors by index of a POST instruction; ``layouts`` and ``dtypes`` of all tensors by
    name, for probes. ``notes``: sentences about what the compiler decided; ``notices``: sentences to repeat in every
    output about the model, such as that its weights are random; ``labels``: class names in the model's file, possibly
    none. ``model_inputs`` and ``model_outputs``: those of the user's model, in its order; the accelerator's ``inputs`` and
    ``outputs`` are the same if the host computes no head or tail in float (``host``); these may then be omitted.
    ``inserted_roundings``: float values of the user's model that are quantized here.
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
    dtypes: dict[str, BytesType]
    macs: int
    notes: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    model_inputs: list[ModelPort] = field(default_factory=list)
    model_outputs: list[ModelPort] = field(default_factory=list)
    host: HostWork = field(default_factory=HostWork)
    inserted_roundings: list[InsertedRounding] = field(default_factory=list)
    write_base: int = 0
    cycle_limit: int = RESET_VALUES[Register.CYCLE_LIMIT]

    def __post_init__(self) -> None:
        # Cache of decoded instructions by index, with their bytes: emulator, planner and reports read all of them.
        self._decoded: tuple[bytes, dict[int, Instruction]] = b"", {}
        self.model_inputs = self.model_inputs or ports_of_inputs(self.inputs)
        self.model_outputs = self.model_outputs or ports_of_outputs(self.outputs)

    @property
    def config(self) -> str:
        """The configuration's name."""
        return self.configuration.name

    @property
    def config_digest(self) -> str:
        """The configuration's digest."""
        return self.configuration.digest

    @property
    def first_index(self) -> int:
        """The index of its first instruction in memory."""
        return self.code_address // INSTRUCTION_BYTES

    def __len__(self) -> int:
        return len(self.instructions) // INSTRUCTION_BYTES

    def __iter__(self) -> Iterator[Instruction]:
        data = self.instructions.tobytes()
        if self._decoded[0] != data:
            self._decoded = data, {}
        _, known = self._decoded
        for index, start in enumerate(range(0, len(data), INSTRUCTION_BYTES)):
            if index not in known:
                known[index] = decode(data[start:start + INSTRUCTION_BYTES], self.first_index + index)
            yield known[index]

    def __getstate__(self) -> dict[str, Any]:
        """Pickles without the decoded instructions, which can be decoded again quickly."""
        return self.__dict__ | {"_decoded": (b"", {})}

    def require(self, config: Config) -> None:
        """Raises ``ProgramError`` if the program was compiled for another configuration."""
        if config.digest != self.config_digest:
            raise ProgramError(f"the program was compiled for configuration {self.config} ({self.config_digest}), not "
                               f"for {config.name} ({config.digest}); compile it again with that --config")

    def to_bytes(self) -> bytes:
        header = {"version": FORMAT_VERSION, "instruction_bytes": len(self.instructions),
                  "constant_bytes": len(self.constants)} | self._metadata()
        text = json.dumps(header, separators=(",", ":")).encode()
        body = b"".join([MAGIC, LENGTH.pack(len(text)), text, self.instructions.tobytes(), self.constants.tobytes(),
                         *(part.model for part in self.host.parts.values())])
        return body + hashlib.sha256(body).digest()

    def save(self, path: str | Path) -> None:
        """Writes the file atomically; raises ``ProgramError`` if it cannot be written."""
        try:
            with write_atomically(Path(path)) as file:
                file.write(self.to_bytes())
        except OSError as error:
            raise ProgramError(f"{path}: cannot be written: {error.strerror}") from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        try:
            return cls.from_bytes(Path(path).read_bytes(), str(path))
        except OSError as error:
            raise ProgramError(f"{path}: cannot be read: {error.strerror}") from None

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "program") -> Self:
        """The program in a file's bytes; raises ``ProgramError`` if they are damaged or of another version."""
        if data.startswith(FORMER_MAGIC):
            raise ProgramError(f"{name}: a program of an earlier version of Arrayloom; compile the model again")
        if not data.startswith(MAGIC):
            raise ProgramError(f"{name}: not an Arrayloom program; make one with: "
                               "arrayloom compile MODEL.onnx -o PROGRAM.loom")
        body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            raise ProgramError(f"{name}: damaged (its checksum does not fit); compile the model again")
        try:
            return cls._from_body(body)
        except ArrayloomError as error:
            raise type(error)(f"{name}: {error}; compile the model again") from None

    @classmethod
    def _from_body(cls, body: bytes) -> Self:
        """The program in a file's bytes up to the digest."""
        header, end = _header(body)
        if header.get("version") != FORMAT_VERSION:
            raise ProgramError(f"version {header.get('version')!r} of the program format, this Arrayloom reads "
                               f"{FORMAT_VERSION}")
        code, constants, head, tail = (read(int, header.get(key), f"the program's header: {key}")
                                       for key in ("instruction_bytes", "constant_bytes", "head_bytes", "tail_bytes"))
        sizes = (code, constants, head, tail)
        if min(sizes) < 0 or code % INSTRUCTION_BYTES or end + sum(sizes) != len(body):
            host = f" and {head + tail:,} of the host's part" if head or tail else ""
            raise ProgramError(f"it holds {len(body) - end:,} bytes after the header, not {code:,} of instructions and "
                               f"{constants:,} of constants{host}")
        payload, models = np.frombuffer(body, np.uint8), end + code + constants
        program = cls(instructions=payload[end:end + code], constants=payload[end + code:models],
                      host=_host(header.get("host"), {"head": body[models:models + head], "tail": body[models + head:]}),
                      **_from_metadata(header))
        program.check()
        return program

    def check(self) -> None:
        """Raises ``EncodingError`` if ports, layers and probes are inconsistent with each other, the instructions or the
        memory."""
        if not 0 <= self.memory_bytes <= 1 << ADDRESS:
            raise EncodingError(f"memory_bytes = {self.memory_bytes}: must be from 0 to 2**{ADDRESS}")
        self._check_place("the instructions", self.code_address, self.instructions.size)
        self._check_place("the constants", self.constants_address, self.constants.size)
        self._check_limits()
        for names in ([port.name for port in self.inputs], [port.name for port in self.outputs]):
            if not names or len(set(names)) < len(names):
                raise EncodingError(f"inputs or outputs {names}: there must be one at least, each with its own name")
        ports: list[Input | Output] = [*self.inputs, *self.outputs, *([self.features] if self.features else [])]
        for port in ports:
            try:
                port.check(self.configuration.size)
                self._check_place("its tensor", port.slot.address, port.slot.layout.byte_count)
            except EncodingError as error:
                raise EncodingError(f"{type(port).__name__.lower()} {port.name!r}: {error}") from None
        self._check_tensors()
        check_model_ports(self.model_inputs, self.model_outputs, self.inputs, self.outputs, self.host)

    def _check_limits(self) -> None:
        if not 0 <= self.write_base <= self.memory_bytes or self.write_base % self.configuration.size:
            raise EncodingError(f"write_base = {self.write_base}: must be a word's address from 0 to {self.memory_bytes}")
        if not 0 <= self.cycle_limit < 1 << CYCLE_BITS:
            raise EncodingError(f"cycle_limit = {self.cycle_limit}: must be from 0 to {(1 << CYCLE_BITS) - 1}")

    def _check_place(self, what: str, address: int, count: int) -> None:
        if address < 0 or address % self.configuration.size or address + count > self.memory_bytes:
            raise EncodingError(f"{what}: {count} bytes at {address} do not lie at a word within the {self.memory_bytes} "
                                "bytes of memory")

    def _check_tensors(self) -> None:
        for name in self.layouts:
            self.layouts[name].check(self.configuration.size)
            if name not in self.dtypes:
                raise EncodingError(f"tensor {name!r}: it has a layout and no dtype")
        for layer in self.layers:
            if not layer.runs or not all(0 <= first <= last <= len(self) for first, last in layer.runs):
                raise EncodingError(f"layer {layer.name!r}: its runs {layer.runs} lie outside {len(self)} instructions")
        for index, probe in ((index, probe) for index, probes in self.probes.items() for probe in probes):
            layout = self.layouts.get(probe.tensor)
            if layout is None or not (0 <= index < len(self) and 0 <= probe.block < layout.blocks
                                      and 0 <= probe.y < layout.rows and 0 <= probe.x < layout.columns):
                raise EncodingError(f"{probe} of instruction {index} lies outside the program or its tensor")

    def _metadata(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PLAIN} | {
            "config": self.configuration.to_json(),
            "inputs": [port.to_json() for port in self.inputs],
            "outputs": [port.to_json() for port in self.outputs],
            "features": self.features.to_json() if self.features else None,
            "layers": [asdict(layer) for layer in self.layers],
            "probes": [(probe.tensor, index, probe.stage, probe.block, probe.y, probe.x)
                       for index, probes in self.probes.items() for probe in probes],
            "layouts": {name: asdict(layout) for name, layout in self.layouts.items()},
            "model_inputs": [port.to_json() for port in self.model_inputs],
            "model_outputs": [port.to_json() for port in self.model_outputs],
            "inserted_roundings": [asdict(rounding) for rounding in self.inserted_roundings],
            "host": self.host.to_json(),
        } | {f"{name}_bytes": len(self.host.parts[name].model) if name in self.host.parts else 0
             for name in ("head", "tail")}


def is_program(path: Path) -> bool:
    """Whether a file is a program of this or an earlier format version, by its name or its first bytes."""
    if path.suffix == SUFFIX:
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) in (MAGIC, FORMER_MAGIC)
    except OSError:
        return False


def _header(body: bytes) -> tuple[dict[str, Any], int]:
    """The JSON of the header, and its end."""
    start = len(MAGIC) + LENGTH.size
    if len(body) < start:
        raise ProgramError("it ends within its header")
    end = start + LENGTH.unpack_from(body, len(MAGIC))[0]
    try:
        header = json.loads(body[start:end])
    except (ValueError, RecursionError):
        header = None
    if end > len(body) or not isinstance(header, dict):
        raise ProgramError("its header is not a JSON object")
    return header, end


def _probes(rows: list[tuple[str, int, Stage, int, int, int]]) -> dict[int, tuple[Probe, ...]]:
    found: dict[int, tuple[Probe, ...]] = {}
    for tensor, index, stage, block, y, x in rows:
        found[index] = (*found.get(index, ()), Probe(tensor, stage, block, y, x))
    return found


def _host(written: Any, models: dict[str, bytes]) -> HostWork:
    """The host's work: ``written`` is its description in the header; its models by ``head`` and ``tail``, empty if there is
    none."""
    where = "the program's header: host"
    nodes = {name: read(list[HostNode], mapping(written, where).get(name), f"{where}: {name}") for name in models}
    given = {name: value for name, value in mapping(written, where).items() if name not in models}
    for name, found in nodes.items():
        if found and not models[name]:
            raise EncodingError(f"{where}: {name} names nodes, and the file holds no model of them")
    parts = {name: HostPart(model, tuple(nodes[name])) if model else None for name, model in models.items()}
    return record(HostWork, given, where, **parts)


def _from_metadata(header: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``Program`` in a header; raises ``EncodingError``, which names an argument of the wrong type."""
    plain = get_type_hints(Program, include_extras=True)

    def value(kind: Any, name: str) -> Any:
        return read(kind, header[name], f"the program's header: {name}")

    try:
        return {name: value(plain[name], name) for name in PLAIN} | {
            "configuration": value(Config, "config"),
            "inputs": value(list[Input], "inputs"),
            "outputs": value(list[Output], "outputs"),
            "features": value(Output | None, "features"),
            "layers": value(list[Layer], "layers"),
            "probes": _probes(value(list[tuple[str, int, Stage, int, int, int]], "probes")),
            "layouts": value(dict[str, Layout], "layouts"),
            "model_inputs": value(list[ModelPort], "model_inputs"),
            "model_outputs": value(list[ModelPort], "model_outputs"),
            "inserted_roundings": value(list[InsertedRounding], "inserted_roundings"),
        }
    except KeyError as error:
        raise EncodingError(f"the program's header lacks or misspells {error}") from None
