"""Where a network's weights came from, written into its ONNX file."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnx
from onnx import helper

from arrayloom.compiler.frontend import NOTICE
from arrayloom.host.models.networks.architectures import Parameters
from arrayloom.host.models.networks.errors import NetworkError
from arrayloom.host.models.networks.weights import Weights

_PREFIX = "arrayloom."
_FIELDS = ("network", "weights", "digest", "recipe", "classes")

RANDOM = "its weights are random (seed {}): bits and cycles are meaningful, classes are not"


@dataclass(frozen=True)
class Provenance:
    """``network``: the spec's name; ``weights``: a file's name or the seed; ``digest``: SHA-256 of the float parameters;
    ``recipe``: the preprocessing that the weights expect; ``classes``: how many; ``notice``: what every output must say.
    """

    network: str
    weights: str
    digest: str
    recipe: str
    classes: int
    notice: str | None = None

    @classmethod
    def of_file(cls, network: str, path: Path, weights: Weights, recipe: str, classes: int) -> Self:
        return cls(network, path.name, digest(weights.parameters), recipe, classes, weights.notice)

    @classmethod
    def of_seed(cls, network: str, seed: int, parameters: Parameters, recipe: str, classes: int) -> Self:
        return cls(network, f"seed {seed}", digest(parameters), recipe, classes, RANDOM.format(seed))

    @classmethod
    def read(cls, model: onnx.ModelProto, where: str) -> Self:
        """Raises ``NetworkError`` for a file that ``arrayloom network`` did not write."""
        values = {entry.key: entry.value for entry in model.metadata_props}
        missing = [name for name in _FIELDS if _PREFIX + name not in values]
        if missing:
            raise NetworkError(f"{where}: does not say which network it is (metadata {_PREFIX}{missing[0]} is missing); "
                               "build it with arrayloom network, or run it as any other model through host.Session")
        network, weights, found, recipe, classes = (values[_PREFIX + name] for name in _FIELDS)
        return cls(network, weights, found, recipe, int(classes), values.get(NOTICE))

    def write(self, model: onnx.ModelProto) -> None:
        """Replaces the model's metadata."""
        values = {_PREFIX + name: str(getattr(self, name)) for name in _FIELDS}
        helper.set_model_props(model, values | ({NOTICE: self.notice} if self.notice else {}))


def digest(parameters: Parameters) -> str:
    """SHA-256 over names, shapes and float32 values, in the order of names."""
    total = hashlib.sha256()
    for name in sorted(parameters):
        value = np.ascontiguousarray(parameters[name], np.float32)
        total.update(f"{name} {list(value.shape)}\n".encode())
        total.update(value.tobytes())
    return total.hexdigest()
