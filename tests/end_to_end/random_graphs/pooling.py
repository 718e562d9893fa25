"""MaxPool, QLinearAveragePool and QLinearGlobalAveragePool."""

from math import prod

import numpy as np

from .fit import fit
from .rounding import of_average, of_mean
from .sketch import MICROSOFT, Sketch, Value
from .windows import Windows, draw_pooling


def maximum(sketch: Sketch, x: Value) -> Value | None:
    """MaxPool on bytes: the quantization is unchanged."""
    windows = _windows(sketch, x, (1, 5), dilated=True)
    if windows is None:
        return None
    name = sketch.node("MaxPool", [x.name], **windows.attributes)
    patches = windows.gather(x.sample, -np.inf)
    return sketch.value(name, _over_kernel(patches, x.spatial).max(axis=-1).astype(x.dtype), x.scale, x.zero)


def average(sketch: Sketch, x: Value) -> Value | None:
    """QLinearAveragePool, 2 x 2 to 8 x 8."""
    windows = _windows(sketch, x, (2, 8), dilated=False)
    if windows is None:
        return None
    include = sketch.draw.chance(0.4)
    patches = _over_kernel(windows.gather(x.sample, np.nan), x.spatial)
    divisor = np.array(patches.shape[-1]) if include else (~np.isnan(patches)).sum(axis=-1)
    real = np.nansum(patches - x.zero, axis=-1) / divisor * float(x.scale)
    scale, zero = fit(sketch.draw, real, x.dtype, x.scale, of_average(patches, divisor, x.scale, x.zero))
    inputs = [*sketch.operand(x), *sketch.quantization(scale, zero, x.dtype)]
    name = sketch.node("QLinearAveragePool", inputs, MICROSOFT, count_include_pad=int(include), **windows.attributes)
    return sketch.quantized(name, real, x.dtype, scale, zero, zero_inside=True)


def global_average(sketch: Sketch, x: Value) -> Value | None:
    """QLinearGlobalAveragePool."""
    if x.spatial < 1 or not x.is_image:
        return None
    axes = tuple(range(1, x.sample.ndim))
    real = x.real.mean(axis=axes, keepdims=True)
    sums = (x.sample.astype(np.float64) - x.zero).sum(axis=axes)
    scale, zero = fit(sketch.draw, real, x.dtype, x.scale, of_mean(sums, x.scale, prod(x.shape[1:])))
    inputs = [*sketch.operand(x), *sketch.quantization(scale, zero, x.dtype)]
    name = sketch.node("QLinearGlobalAveragePool", inputs, MICROSOFT)
    return sketch.quantized(name, real, x.dtype, scale, zero)


def _windows(sketch: Sketch, x: Value, kernels: tuple[int, int], dilated: bool) -> Windows | None:
    if x.spatial < 1 or not x.is_image:
        return None
    windows = draw_pooling(sketch.draw, x.shape[1:], kernels, dilated)
    if windows is None or x.shape[0] * prod(windows.outputs) > sketch.room:
        return None
    return windows


def _over_kernel(patches: np.ndarray, spatial: int) -> np.ndarray:
    return patches.reshape(*patches.shape[:1 + spatial], -1)
