"""Windows over images: random attributes, and the elements in the windows."""

from dataclasses import dataclass

import numpy as np

from .draw import Array, Draw


@dataclass(frozen=True)
class Axis:
    """Windows along one spatial dimension; ``output`` is their number."""

    extent: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int
    output: int

    @property
    def taps(self) -> Array:
        """Input positions [output, kernel]; outside 0..extent-1 is padding."""
        starts = np.arange(self.output) * self.stride - self.begin
        return starts[:, np.newaxis] + np.arange(self.kernel) * self.dilation

    @property
    def inside(self) -> Array:
        """Whether each tap is inside the image, [output, kernel]."""
        return (self.taps >= 0) & (self.taps < self.extent)


@dataclass(frozen=True)
class Windows:
    """Windows along every spatial dimension, and the form of padding in the node."""

    axes: tuple[Axis, ...]
    auto_pad: str | None = None
    ceil_mode: int | None = None

    @property
    def attributes(self) -> dict[str, object]:
        """Attributes of a Conv or pooling node; defaults are written out or omitted with equal probability."""
        begins, ends = [axis.begin for axis in self.axes], [axis.end for axis in self.axes]
        dilations = [axis.dilation for axis in self.axes]
        return {
            "kernel_shape": [axis.kernel for axis in self.axes],
            "strides": [axis.stride for axis in self.axes],
            "dilations": dilations if max(dilations) > 1 else None,
            "pads": None if self.auto_pad or not any(begins + ends) else begins + ends,
            "auto_pad": self.auto_pad,
            "ceil_mode": self.ceil_mode,
        }

    @property
    def outputs(self) -> tuple[int, ...]:
        return tuple(axis.output for axis in self.axes)

    @property
    def all_hold_elements(self) -> bool:
        """Whether every window contains at least one element of the image."""
        return all(bool(axis.inside.any(axis=1).all()) for axis in self.axes)

    def gather(self, image: Array, fill: float) -> Array:
        """The elements [C, *outputs, *kernel] of ``image`` [C, *spatial], ``fill`` in the padding, float64."""
        count = len(self.axes)
        result = image.astype(np.float64)
        for position, axis in enumerate(self.axes):
            result = np.take(result, np.clip(axis.taps, 0, axis.extent - 1), axis=1 + 2 * position)
            shape = [1] * result.ndim
            shape[1 + 2 * position: 3 + 2 * position] = axis.taps.shape
            result = np.where(axis.inside.reshape(shape), result, fill)
        order = [0, *range(1, 2 * count, 2), *range(2, 2 * count + 1, 2)]
        return result.transpose(order)


def draw_kernels(draw: Draw, spatial: tuple[int, ...], most: int, least: int = 1) -> list[int]:
    """Square or not; mostly 3 and 1."""
    common = [size for size in (1, 3, 3, 2, 5) if least <= size <= most]
    kernels = [draw.pick(common) if draw.chance(0.6) else draw.integer(least, most) for _ in spatial]
    return [kernels[0]] * len(spatial) if draw.chance(0.6) else kernels


def draw_convolution(draw: Draw, spatial: tuple[int, ...]) -> Windows:
    """Kernels 1 to 7, strides, dilations, any pads, sometimes auto_pad."""
    kernels = draw_kernels(draw, spatial, 7)
    auto_pad = draw.pick(["SAME_UPPER", "SAME_LOWER", "VALID"]) if draw.chance(0.15) else None
    stride = draw.pick([1, 2, 3, 4], [6, 4, 1, 0.5])
    axes = []
    for extent, kernel in zip(spatial, kernels, strict=True):
        dilation = 1 if auto_pad or draw.chance(0.8) else draw.integer(2, 3)
        own = stride if draw.chance(0.9) else draw.integer(1, 3)
        axes.append(_conv_axis(draw, extent, kernel, min(own, kernel) if auto_pad else own, dilation, auto_pad))
    fallback = auto_pad if auto_pad != "VALID" or all(axis.begin + axis.end == 0 for axis in axes) else None
    return Windows(tuple(axes), fallback)


def draw_same(draw: Draw, spatial: tuple[int, ...]) -> Windows:
    """Odd kernels at stride 1 whose output is as large as the input."""
    kernels = [draw.pick([1, 3, 3, 5]) for _ in spatial]
    axes = (Axis(extent, kernel, 1, 1, kernel // 2, kernel // 2, extent)
            for extent, kernel in zip(spatial, kernels, strict=True))
    return Windows(tuple(axes))


def _conv_axis(draw: Draw, extent: int, kernel: int, stride: int, dilation: int, auto_pad: str | None) -> Axis:
    span = (kernel - 1) * dilation + 1
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        output = -(-extent // stride)
        total = max((output - 1) * stride + span - extent, 0)
        small, large = total // 2, total - total // 2
        begin, end = (small, large) if auto_pad == "SAME_UPPER" else (large, small)
        return Axis(extent, kernel, stride, dilation, begin, end, output)
    begin, end = (0, 0) if auto_pad else _pads(draw, span - 1)
    short = max(span - extent - begin - end, 0)
    begin, end = begin + short // 2, end + short - short // 2
    return Axis(extent, kernel, stride, dilation, begin, end, (extent + begin + end - span) // stride + 1)


def _pads(draw: Draw, most: int) -> tuple[int, int]:
    """No padding, half the window on both sides, or any."""
    kind = draw.pick(["none", "half", "any"], [3, 4, 3])
    if kind == "none":
        return 0, 0
    return (most // 2, most // 2) if kind == "half" else (draw.integer(0, most), draw.integer(0, most))


def draw_pooling(draw: Draw, spatial: tuple[int, ...], kernels: tuple[int, int], dilated: bool) -> Windows | None:
    """Windows with sides of ``kernels`` = (least, most), none wholly in the padding; None if no draw satisfies that."""
    for _ in range(8):
        windows = _pooling(draw, spatial, kernels, dilated)
        if windows and windows.all_hold_elements:
            return windows
    return None


def _pooling(draw: Draw, spatial: tuple[int, ...], kernels: tuple[int, int], dilated: bool) -> Windows | None:
    ceil_mode = 1 if draw.chance(0.3) else None
    auto_pad = None if ceil_mode or draw.chance(0.9) else draw.pick(["SAME_UPPER", "SAME_LOWER"])
    sizes = draw_kernels(draw, spatial, kernels[1], kernels[0])
    stride = draw.pick([1, 2, 3], [3, 5, 2])
    axes = []
    for extent, kernel in zip(spatial, sizes, strict=True):
        dilation = draw.integer(2, 3) if dilated and not auto_pad and draw.chance(0.2) else 1
        axes.append(_pool_axis(draw, (extent, kernel, stride, dilation), auto_pad, ceil_mode))
    return Windows(tuple(axis for axis in axes if axis), auto_pad, ceil_mode) if all(axes) else None


def _pool_axis(draw: Draw, sizes: tuple[int, int, int, int], auto_pad: str | None,
               ceil_mode: int | None) -> Axis | None:
    extent, kernel, stride, dilation = sizes
    if auto_pad:
        return _conv_axis(draw, extent, kernel, min(stride, kernel), dilation, auto_pad)
    begin, end = _pads(draw, kernel - 1)
    room = extent + begin + end - (kernel - 1) * dilation - 1
    if room < 0:
        return None
    output = (-(-room // stride) if ceil_mode else room // stride) + 1
    if (output - 1) * stride >= extent + begin:  # ONNX Runtime drops that window but infers a shape that includes it
        return None
    return Axis(extent, kernel, stride, dilation, begin, end, output)
