"""Quantization of results, chosen so that they fill their range: what saturates everywhere proves nothing."""

import numpy as np

from .draw import Array, Draw, byte_range, power_of_two

Styles = ("equal", "power", "random")


def style(draw: Draw) -> str:
    """A third each: the output's scale equals the input's, is a power of two, or is random."""
    return draw.pick(Styles)


def fit(draw: Draw, real: Array, dtype: np.dtype, near: np.float32) -> tuple[np.float32, int]:
    """Scale and zero point for real values; ``near`` is the input's scale, taken as it is where the style is equal."""
    low, high = min(float(real.min()), 0.0), max(float(real.max()), 0.0)
    rectified = high > 0 and draw.chance(0.15)
    low = 0.0 if rectified else low
    wanted = max(high - low, float(near) * 16) / 255 * draw.log_uniform(0.6, 1.8)
    scale = scale_near(draw, wanted, near)
    return scale, zero_for(draw, low / float(scale), high / float(scale), dtype)


def scale_near(draw: Draw, wanted: float, near: np.float32) -> np.float32:
    """A scale in one of the three styles; the equal one only where that leaves something of the values."""
    chosen = style(draw)
    if chosen == "equal" and 1 / 16 < wanted / float(near) < 4:
        return np.float32(near)
    return power_of_two(wanted) if chosen == "power" else np.float32(wanted)


def zero_for(draw: Draw, low: float, high: float, dtype: np.dtype) -> int:
    """A zero point that centres quotients ``low`` to ``high`` in the range of ``dtype``, mostly odd; or any."""
    if draw.chance(0.08):
        return draw.zero_point(dtype)
    least, most = byte_range(dtype)
    centred = int(np.clip(np.rint((least + most) / 2 - (low + high) / 2), least, most))
    return draw.odd(centred, dtype) if draw.chance(0.75) else centred
