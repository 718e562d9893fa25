"""Quantization parameters of results, chosen so that they fill their range: a fully saturated result tests nothing."""

import numpy as np

from .draw import Array, Draw, byte_range, power_of_two
from .rounding import Rounding, sharpest

STYLES = {"equal": 0.3, "power": 0.3, "random": 0.2, "tie": 0.2}


def draw_style(draw: Draw) -> str:
    """Draws how an output's scale is chosen: the input's, a power of two, random, or with a sample value next to a tie."""
    return draw.pick(list(STYLES), list(STYLES.values()))


def fit(draw: Draw, real: Array, dtype: np.dtype, near: np.float32,
        rounding: Rounding | None = None) -> tuple[np.float32, int]:
    """Scale and zero point for real values; ``near`` is the input's scale, used unchanged by the equal style.

    ``rounding``: the operator's, for a search for ties that would expose its mistakes.
    """
    low, high = min(float(real.min()), 0.0), max(float(real.max()), 0.0)
    rectified = high > 0 and draw.chance(0.15)
    low = 0.0 if rectified else low
    wanted = max(high - low, float(near) * 16) / 255 * draw.log_uniform(0.6, 1.8)
    chosen = draw_style(draw)
    scale = scale_near(draw, chosen, wanted, near, real)
    zero = zero_for(draw, low / float(scale), high / float(scale), dtype)
    if chosen == "tie" and rounding is not None:
        scale = sharpest(draw, real, np.float32(wanted), zero, rounding)
    return scale, zero


def scale_near(draw: Draw, chosen: str, wanted: float, near: np.float32, real: Array) -> np.float32:
    """A scale in the chosen style; the input's scale only if some values survive it."""
    if chosen == "equal" and 1 / 16 < wanted / float(near) < 4:
        return np.float32(near)
    if chosen == "tie":
        value = abs(float(draw.pick(real.reshape(-1))))
        return np.float32(value / (int(value / wanted) + 0.5) if value > wanted / 2 else wanted)
    return power_of_two(wanted) if chosen == "power" else np.float32(wanted)


def zero_for(draw: Draw, low: float, high: float, dtype: np.dtype) -> int:
    """A zero point that centres quotients ``low`` to ``high`` in the range of ``dtype``, mostly odd; or any."""
    if draw.chance(0.08):
        return draw.zero_point(dtype)
    least, most = byte_range(dtype)
    centred = int(np.clip(np.rint((least + most) / 2 - (low + high) / 2), least, most))
    return draw.odd(centred, dtype) if draw.chance(0.75) else centred
