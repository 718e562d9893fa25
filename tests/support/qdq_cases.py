"""Small QDQ networks of several activations, imported, interpreted, compiled for the emulator and compared."""

from typing import Any

import numpy as np
from exact_graph import equal_values
from networks import Array, Network
from verification import random_values

from arrayloom.compiler import compile_graph
from arrayloom.compiler.frontend import HostPolicy, ImportedModel, ImportOptions, import_model
from arrayloom.host.runtime.backends import open_device
from arrayloom.host.runtime.reference import Reference
from arrayloom.host.runtime.verify import Verifier
from arrayloom.isa.config import load_config

ON_THE_DEVICE = ImportOptions(host=HostPolicy.NONE)     # nothing runs on the host
SCALES = {"a": (0.05, 3), "b": (0.03, 120), "c": (0.11, 60)}


class Case(Network):
    """Quantized inputs, dequantized; ``check`` quantizes a result and compares every tensor."""

    def __init__(self, dtype: Any = np.uint8, opset: int = 17, **shapes: tuple[int, ...]) -> None:
        super().__init__(opset)
        self.dtype = dtype
        self.shapes = shapes
        self.shift = 0 if dtype == np.uint8 else 128
        self.real = {name: self.dequantize(name, *self._scale(name), dtype) for name in shapes}

    def _scale(self, name: str) -> tuple[float, int]:
        scale, zero = SCALES[name]
        return scale, zero - self.shift

    def requantized(self, value: str, scale: float, zero: int) -> str:
        """QuantizeLinear and DequantizeLinear."""
        name = self.name("integer")
        return self.dequantize(self.quantize(value, scale, zero - self.shift, self.dtype, name), scale, zero - self.shift,
                               self.dtype)

    def quantized_constant(self, value: Any, scale: float, zero: int) -> str:
        """A DequantizeLinear of constant bytes, as quantizers write a constant."""
        info = np.iinfo(self.dtype)
        zero -= self.shift
        bytes_ = np.clip(np.rint(np.asarray(value) / scale) + zero, info.min, info.max).astype(self.dtype)
        return self.dequantize(self.constant(bytes_), scale, zero, self.dtype)

    def check(self, real: str, scale: float = 0.04, zero: int = 90, most: int = 1, config: str = "tiny") -> ImportedModel:
        """Exactly equal to the lowered model, and at most ``most`` from the original model."""
        self.quantize(real, scale, zero - self.shift, self.dtype, output="y")
        model = self.model({name: (self.dtype, ["N", *shape]) for name, shape in self.shapes.items()}, ["y"])
        imported = import_model(model, ON_THE_DEVICE)
        values = random_values(imported.graph, seed=len(self.nodes))
        equal_values(imported.graph, values)
        chosen = load_config(config)
        verifier = Verifier(imported, compile_graph(imported.graph, chosen), open_device("emulator", chosen))
        verdict = verifier.verify(values)
        assert verdict.first_difference is None
        given: Array = Reference(imported.original).run(values)["y"]
        distance = np.abs(given.astype(int).ravel() - verdict.outputs["y"].astype(int).ravel())
        assert distance.max() <= most
        return imported


def operators(imported: ImportedModel) -> list[str]:
    """The operators of the lowered model, in order."""
    return [node.op_type for node in imported.lowered.graph.node]
