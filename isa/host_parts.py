"""What the host computes in float before and after the accelerator, and what was changed so that the rest is integer."""

from dataclasses import asdict, dataclass
from typing import Any

from arrayloom.isa.host_steps import Shape


@dataclass(frozen=True)
class ModelPort:
    """An input or an output of a model: its name, its shape without the batch, and its dtype as numpy calls it."""

    name: str
    shape: Shape
    dtype: str


@dataclass(frozen=True)
class HostNode:
    """A node of the user's model that the host computes: its name and its operator."""

    name: str
    op: str


@dataclass(frozen=True)
class HostPart:
    """A part of a network that ONNX Runtime computes on the host.

    ``model``: the part as a serialized ONNX model, whose inputs and outputs have the names that they have in the user's
    model. ``nodes``: what the user is told; Q and DQ, softmax, reshapes and transposes at the border are left out.
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

    def to_json(self) -> dict[str, Any]:
        """The nodes of head and tail, the multiply-accumulates and their share."""
        parts = {"head": self.head, "tail": self.tail}
        nodes = {name: [asdict(node) for node in part.nodes] if part else [] for name, part in parts.items()}
        return nodes | {"macs": self.macs, "share": self.share}


@dataclass(frozen=True)
class InsertedRounding:
    """A value that the user's model leaves in float and that is quantized here: per tensor, to ``dtype``.

    ``node`` is the user's node that makes the value.
    """

    value: str
    node: str
    scale: float
    zero_point: int
    dtype: str
