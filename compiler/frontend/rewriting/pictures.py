"""Random pictures, on which a model's values are observed if there is no calibration data."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.quantization import known_quantization
from arrayloom.compiler.frontend.runtime import Array, Session, with_outputs

SEED = 20
COUNT = 12

_COLOURS = 4  # most channels for which an input is taken as a picture [H, W, C]

#: Usual ranges of inputs: pictures in 0..1 and -1..1, bytes, signed bytes, and pictures of unit variance.
_USUAL_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-128.0, 127.0), (-2.64, 2.64))


def observe(model: Model, values: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Returns the smallest and the largest element of each value on `COUNT` random pictures."""
    session = Session(with_outputs(model.proto, values), optimize=False)
    ranges = {value.name: _input_range(model, value) for value in model.inputs}
    runs = [session.run(_inputs(model, ranges, np.random.default_rng((SEED, index)))) for index in range(COUNT)]
    return {
        name: (min(float(run[name].min()) for run in runs), max(float(run[name].max()) for run in runs)) for name in values
    }


def _inputs(model: Model, ranges: Mapping[str, tuple[float, float]], rng: np.random.Generator) -> dict[str, Array]:
    given = {}
    for value in model.inputs:
        low, high = ranges[value.name]
        shape = [1, *model.shapes[value.name][1:]]
        real = low + (high - low) * picture(shape, rng)
        dtype = model.dtypes[value.name]
        given[value.name] = (np.rint(real) if np.issubdtype(dtype, np.integer) else real).astype(dtype)
    return given


def picture(shape: Sequence[int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Returns random values in 0..1 with shape [1, C, ...] or [1, H, W, C]; neighbours are similar, as in photographs.

    The values are octaves of noise along height and width, each weaker than the next coarser one, and partly equal in all
    channels; brightness and contrast vary.
    """
    if len(shape) == 4 and shape[3] <= _COLOURS < shape[1]:
        return np.moveaxis(picture([shape[0], shape[3], *shape[1:3]], rng), 1, 3)
    extents = (*[1] * (4 - max(len(shape), 2)), *shape[2:])
    noise = np.zeros([int(np.prod(shape[:2])), *extents])
    common = rng.uniform(0.3, 0.95)
    for octave in range(int(np.log2(max(*extents, 2))) + 1):
        coarse = rng.standard_normal([len(noise), *(min(2**octave + 1, extent) for extent in extents)])
        coarse = common * coarse[:1] + (1 - common) * coarse
        noise += _stretched(coarse, extents) * rng.uniform(0.4, 0.9) ** octave
    noise = (noise - noise.min()) / max(float(np.ptp(noise)), 1e-9)
    contrast = rng.uniform(0.5, 3.0)
    return np.clip((noise - 0.5) * contrast + rng.uniform(0.1, 0.9), 0, 1).reshape(shape)


def _stretched(coarse: NDArray[np.float64], extents: tuple[int, ...]) -> NDArray[np.float64]:
    """Resizes planes [N, h, w] to `extents` by linear interpolation."""
    for axis, extent in enumerate(extents, start=1):
        at = np.linspace(0, coarse.shape[axis] - 1, extent)
        left = np.floor(at).astype(int)
        right = np.minimum(left + 1, coarse.shape[axis] - 1)
        weight = (at - left).reshape([-1 if place == axis else 1 for place in range(3)])
        coarse = np.take(coarse, left, axis) * (1 - weight) + np.take(coarse, right, axis) * weight
    return coarse


def _input_range(model: Model, value: onnx.ValueInfoProto) -> tuple[float, float]:
    """Returns the range of an input: that of its dtype, of its QuantizeLinear, or the best of the usual ranges."""
    dtype = model.dtypes[value.name]
    if np.issubdtype(dtype, np.integer):
        info = np.iinfo(dtype)
        return float(max(info.min, -128)), float(min(info.max, 255))
    for reader in model.consumers.get(value.name, []):
        if reader.op_type == "QuantizeLinear":
            low, high = _quantized_range(model, reader)
            return low, high
    return _best_range(model)


def _quantized_range(model: Model, node: onnx.NodeProto) -> tuple[float, float]:
    quantization = known_quantization(model, node)
    return _USUAL_RANGES[0] if quantization is None else quantization.bounds


def _best_range(model: Model) -> tuple[float, float]:
    """Returns the usual range with which the first quantized value best fills the range of its quantizer."""
    quantizers = (node for node in model.nodes if node.op_type == "QuantizeLinear")
    quantizer = next((node for node in quantizers if not model.is_constant(node.output[0])), None)
    if quantizer is None:
        return _USUAL_RANGES[0]
    wanted = max(abs(bound) for bound in _quantized_range(model, quantizer))
    session = Session(with_outputs(model.proto, [quantizer.input[0]]), optimize=False)
    misfits = []
    for candidate in _USUAL_RANGES:
        ranges = {value.name: candidate for value in model.inputs}
        run = session.run(_inputs(model, ranges, np.random.default_rng(SEED)))
        reached = float(np.abs(run[quantizer.input[0]]).max())
        misfits.append(abs(np.log(max(reached, 1e-9) / wanted)))
    return _USUAL_RANGES[int(np.argmin(misfits))]
