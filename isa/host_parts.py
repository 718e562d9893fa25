"""What the host computes in float before and after the accelerator, and the changes that make the rest integer."""

from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import numpy as np

from arrayloom.isa.errors import EncodingError
from arrayloom.isa.host_steps import MOST_DIMENSIONS, Quantize, Shape
from arrayloom.isa.records import BytesType

#: numpy's names of the dtypes that a model's inputs and outputs may have.
PortType = Annotated[str, "float32", "float16", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64",
                     "int64", "bool"]


@dataclass(frozen=True)
class ModelPort:
    """An input or output of a model: its name, its shape without the batch, and numpy's name of its dtype.

    ``encoding``: for 8-bit values, their quantization; None if the model does not define it. It
    does not take part in comparisons of ports.
    """

    name: str
    shape: Shape
    dtype: PortType
    encoding: Quantize | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "encoding": self.encoding and self.encoding.to_json()}

    def check(self) -> None:
        """Raises ``EncodingError`` for a shape that is impossible for an array with a batch."""
        if len(self.shape) >= MOST_DIMENSIONS or min(self.shape, default=0) < 0:
            raise EncodingError(f"port {self.name!r}: no array has the shape {list(self.shape)} after its batch")
        if self.encoding is None:
            return
        if not isinstance(self.encoding, Quantize):
            raise EncodingError(f"port {self.name!r}: its encoding is no quantization")
        if self.encoding.result(self.shape, np.dtype(np.float32))[1] != np.dtype(self.dtype):
            raise EncodingError(f"port {self.name!r}: encoded as {self.encoding.dtype}, and it takes {self.dtype}")


@dataclass(frozen=True)
class HostNode:
    """A node of the user's model that the host computes: its name and its operator."""

    name: str
    op: str


@dataclass(frozen=True)
class HostPart:
    """A part of a network that ONNX Runtime computes on the host.

    ``model``: the part as a serialized ONNX model, whose inputs and outputs have the names of the user's
    model. ``nodes``: the nodes reported to the user; Q and DQ, softmax, reshapes and transposes at the border are left out.
    """

    model: bytes
    nodes: tuple[HostNode, ...] = ()


@dataclass(frozen=True)
class HostWork:
    """Everything that the host computes in float: ``macs`` multiply-accumulates, ``share`` of the network's (0 to 1)."""

    head: HostPart | None = None
    tail: HostPart | None = None
    macs: int = 0
    share: float = 0.0

    @property
    def parts(self) -> dict[str, HostPart]:
        """The existing parts, by ``head`` and ``tail``."""
        return {name: part for name, part in (("head", self.head), ("tail", self.tail)) if part is not None}

    def to_json(self) -> dict[str, Any]:
        """The nodes of head and tail, the multiply-accumulates and their share."""
        nodes = {name: [asdict(node) for node in self.parts[name].nodes] if name in self.parts else []
                 for name in ("head", "tail")}
        return nodes | {"macs": self.macs, "share": self.share}


@dataclass(frozen=True)
class InsertedRounding:
    """A float value of the user's model that is quantized here to ``dtype``.

    ``node`` is the user's node that produces the value, or that uses it as weights. Weights have a scale per
    channel; ``scale`` is the largest.
    """

    value: str
    node: str
    scale: float
    zero_point: int
    dtype: BytesType
