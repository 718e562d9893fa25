"""What happens to a float network before it is calibrated; `prepare` lists the steps in order."""

from dataclasses import dataclass, field
from pathlib import Path

import onnx

from arrayloom.compiler.frontend.model import Model
from arrayloom.host.models.quantize.port import Port
from arrayloom.host.models.quantize.prepare.batchnorm import fold_into_next
from arrayloom.host.models.quantize.prepare.gemm import normalize_gemm
from arrayloom.host.models.quantize.prepare.load import load_float
from arrayloom.host.models.quantize.prepare.modernize import modernize
from arrayloom.host.models.quantize.prepare.names import name_nodes
from arrayloom.host.models.quantize.prepare.simplify import annotate, simplify
from arrayloom.host.models.quantize.prepare.sums import split_sums


@dataclass(frozen=True)
class Prepared:
    """A float network ready to be calibrated.

    Attributes:
        original: the network as given, its batch open.
        model: the network prepared: its values known, and equal to the original's but for rounding.
        notes: sentences about what was changed.
    """

    original: onnx.ModelProto
    model: Model
    notes: list[str] = field(default_factory=list)

    @property
    def ports(self) -> list[Port]:
        """The inputs of the network."""
        return [Port(value.name, tuple(self.model.shapes[value.name][1:])) for value in self.model.inputs]


def prepare(source: str | Path | onnx.ModelProto) -> Prepared:
    """The float network with constants and normalizations folded, named nodes and known shapes.

    Raises:
        QuantizeError: the network is quantized already, is not float32, or ONNX Runtime refuses it.
        ModelError: the file is unusable, or its shapes are not fixed behind the batch.
    """
    notes: list[str] = []
    original = modernize(load_float(source))
    proto = normalize_gemm(split_sums(simplify(original)))
    proto = fold_into_next(proto, notes)
    name_nodes(proto)
    model = Model(proto)
    annotate(model)
    return Prepared(original, model, notes)


__all__ = ["Prepared", "prepare"]
