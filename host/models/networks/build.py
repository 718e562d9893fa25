"""Builds the ONNX file of a network by name: float, with weights from a file or random weights from a seed, and quantized.

The file's metadata record where its weights came from.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from arrayloom.compiler.frontend import NOTICE
from arrayloom.host.models.errors import NetworkError
from arrayloom.host.models.networks.blueprint import Blueprint, Parameters
from arrayloom.host.models.networks.checks import Liveness, NormalizationError, check_alive, normalization_error
from arrayloom.host.models.networks.random_weights import pictures, seeded_weights
from arrayloom.host.models.networks.specs import Spec
from arrayloom.host.models.networks.weight_files import Weights, read_weights
from arrayloom.host.models.quantize import Calibration, Progress, quantize
from arrayloom.host.vision import recipe as find_recipe

_PREFIX = "arrayloom."
_FIELDS = ("network", "weights", "digest", "recipe", "classes")

RANDOM = "its weights are random (seed {}): bits and cycles are meaningful, classes are not"

PICTURES = 8
"""Number of seeded pictures on which random weights are scaled and calibrated; others check the result."""

_SIDE = 320     # size of a seeded picture before the recipe


@dataclass(frozen=True)
class Provenance:
    """``network``: the spec's name; ``weights``: a file's name or the seed; ``digest``: SHA-256 of the float parameters;
    ``recipe``: the preprocessing that the weights expect; ``classes``: how many; ``notice``: a warning to repeat with every
    output.
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
        """Reads the metadata; raises ``NetworkError`` for a file that ``arrayloom network`` did not write."""
        values = {entry.key: entry.value for entry in model.metadata_props}
        missing = [name for name in _FIELDS if _PREFIX + name not in values]
        if missing:
            raise NetworkError(f"{where}: does not say which network it is (metadata {_PREFIX}{missing[0]} is missing); "
                               "build it with arrayloom network, or run it as any other model through arrayloom.Session")
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


@dataclass(frozen=True)
class Built:
    """A network as ONNX. ``liveness``: check of a quantized network with random weights; ``normalization``: error of a
    quantized SSD's normalization."""

    spec: Spec
    model: onnx.ModelProto
    provenance: Provenance
    liveness: Liveness | None = None
    normalization: NormalizationError | None = None


def build_float(spec: Spec, weights: Path | None = None, seed: int | None = None, recipe: str | None = None,
                classes: int | None = None) -> Built:
    """The float network, [N, 3, H, W]; weights from a file, or random ones from a seed.

    ``recipe``: the preprocessing that the weights expect, None: torchvision's; ``classes``: their number, None: the
    usual one. Raises ``WeightsError`` for a file that does not fit, ``NetworkError`` for other arguments.
    """
    if (weights is None) == (seed is None):
        raise NetworkError(f"{spec.name}: needs weights; give a file of them or a seed for random ones, one of both")
    if classes is not None and classes < 1:
        raise NetworkError(f"{spec.name}: {classes} classes; must be at least 1")
    count = classes or spec.classes
    blueprint = spec.blueprint(count)
    chosen = recipe or spec.recipe
    if weights is not None:
        read = read_weights(weights, blueprint)
        values = read.parameters
        provenance = Provenance.of_file(spec.name, weights, read, chosen, count)
    else:
        assert seed is not None
        values = seeded_weights(blueprint, seed, seeded_images(blueprint, chosen, seed))
        provenance = Provenance.of_seed(spec.name, seed, values, chosen, count)
    model = blueprint.model(values)
    provenance.write(model)
    return Built(spec, model, provenance)


def build_quantized(network: Built, calibration: Calibration | None = None, method: str = "minmax",
                    progress: Progress | None = None) -> Built:
    """The network as int8 ONNX. Random weights are calibrated on seeded pictures if ``calibration`` is None.

    Raises ``NetworkError`` if weights from a file come without calibration, and if a layer with random weights is dead
    or saturated; ``QuantizeError`` for a calibration that does not fit.
    """
    random = network.provenance.notice is not None
    if calibration is None and not random:
        raise NetworkError(f"{network.spec.name}: to quantize weights from a file, value ranges are measured on "
                           "photographs; "
                           "add a folder of them (--calibrate DIR)")
    blueprint = network.spec.blueprint(network.provenance.classes)
    images = seeded_images(blueprint, network.provenance.recipe, 0)
    quantized = quantize(network.model, calibration or Calibration.from_arrays(images), method, progress).model
    network.provenance.write(quantized)
    others = seeded_images(blueprint, network.provenance.recipe, 1, 2)
    liveness = check_alive(quantized, others) if random else None
    return Built(network.spec, quantized, network.provenance, liveness, normalization_error(quantized, others))


def seeded_images(blueprint: Blueprint, recipe: str, seed: int, count: int = PICTURES) -> NDArray[np.float32]:
    """Seeded pictures through a recipe, [count, C, H, W]; raises ``NetworkError`` if the result has the wrong shape."""
    chosen = find_recipe(recipe).for_input((1, *blueprint.image))
    images = np.concatenate([chosen.apply(picture) for picture in pictures(count, _SIDE, _SIDE, seed)])
    if images.shape[1:] != blueprint.image:
        raise NetworkError(f"recipe {recipe}: makes {list(images.shape[1:])}, but {blueprint.name} takes "
                           f"{list(blueprint.image)}; choose another recipe")
    return images
