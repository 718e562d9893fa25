"""Parses the bytes of a request. The protocols' readers are pure functions that look nothing up; small messages
are read in this process, large ones in another."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.serving.core.frames import Block
from arrayloom.host.serving.core.served_model import Model
from arrayloom.host.serving.core.settings import Settings

Array = NDArray[Any]

INLINE = 1 << 15
"""Largest message in bytes that the service's own process reads; it takes milliseconds for any content."""

LIGHT = 1 << 22
"""Largest message in bytes that it reads if nearly all of it are plain bytes, which are only copied."""

SLACK = 4
"""Readers accept this many times a model's maximum, so that a slightly too large request gets an error that names the
limit."""


@dataclass(frozen=True)
class Limits:
    """Upper limits of a request, known before it is read.

    Parameters
    ----------
    message
        Bytes after decompression.
    batch
        Images.
    values
        Numbers in all tensors together.
    containers
        JSON lists and objects, or nested protobuf messages.
    """

    message: int
    batch: int
    values: int
    containers: int

    @classmethod
    def of(cls, models: Sequence[Model], settings: Settings) -> "Limits":
        """The largest limits of all models, with some slack."""
        shapes = [[(settings.max_batch, *port.shape) for port in model.inputs] for model in models]
        values = max(sum(map(math.prod, each)) for each in shapes)
        nested = max(sum(math.prod(shape[:rank]) for shape in own for rank in range(len(shape))) for own in shapes)
        return cls(settings.max_message, settings.max_batch, SLACK * values + 1024, SLACK * nested + 1024)


@dataclass(frozen=True)
class Reading:
    """``fields``: JSON values by the protocol's names; ``inputs``: arrays by name, with bytes objects for images."""

    fields: Mapping[str, Any]
    inputs: Mapping[str, Array]

    @property
    def bytes(self) -> int:
        """Bytes of the inputs."""
        return sum(_bytes(values) for values in self.inputs.values())

    def pack(self) -> tuple[dict[str, Any], list[Block]]:
        """Header and blocks for another process."""
        entries: list[dict[str, Any]] = []
        blocks: list[Block] = []
        for name, values in self.inputs.items():
            strings = values.dtype.kind == "O"
            flat = values.ravel() if strings else np.ascontiguousarray(values).reshape(-1).view(np.uint8)
            own: list[Block] = list(flat) if strings else [flat.data]
            entries.append({"name": name, "dtype": "O" if strings else values.dtype.str, "shape": values.shape,
                            "blocks": len(own)})
            blocks += own
        return {"fields": dict(self.fields), "inputs": entries}, blocks

    @classmethod
    def unpack(cls, header: Mapping[str, Any], blocks: Sequence[memoryview]) -> "Reading":
        """The inverse of ``pack``."""
        inputs, left = {}, iter(blocks)
        for entry in header["inputs"]:
            own = [next(left) for _ in range(entry["blocks"])]
            if entry["dtype"] == "O":
                values = np.empty(len(own), object)
                values[:] = [bytes(block) for block in own]
            else:
                values = np.frombuffer(own[0], np.uint8).view(entry["dtype"])
            inputs[entry["name"]] = values.reshape(entry["shape"])
        return cls(header["fields"], inputs)


@dataclass(frozen=True)
class Reader:
    """How the requests of a protocol are read.

    Parameters
    ----------
    read
        Takes a message, further facts about it as JSON values, and limits. Raises ``ServiceError`` and ``MessageError``.
    light
        Takes a message and the facts; returns whether all but ``INLINE`` bytes of the message are plain bytes.
    """

    read: Callable[[bytes | bytearray, Mapping[str, Any], Limits], Reading]
    light: Callable[[bytes | bytearray, Mapping[str, Any]], bool]

    def is_quick(self, data: bytes | bytearray, facts: Mapping[str, Any]) -> bool:
        """Whether reading a message takes milliseconds at most, even if a hostile client made it."""
        if facts.get("encoding", "identity") != "identity":
            return False
        return len(data) <= INLINE or (len(data) <= LIGHT and self.light(data, facts))


def request_of(reader: str, facts: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The header that asks another process to read a message."""
    return {"reader": reader, "facts": dict(facts), "limits": asdict(limits)}


def _bytes(values: Array) -> int:
    return sum(map(len, values.flat)) if values.dtype.kind == "O" else values.nbytes
