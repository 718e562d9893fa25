"""Linear interpolation as a Gather of rows and columns and a convolution with small integers.

Along one axis, a result is the sum of a few elements with weights that are multiples of 1 / parts. A convolution has the
same weights at all positions; therefore each element is repeated so that the taps that read it add up to its weight, and the
kernel is chosen so that every weight can be reached. The sums are exact; only the scale is rounded, once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.runtime import Session, small_model
from arrayloom.compiler.frontend.tidy.edit import copied_node

Counts = NDArray[np.int64]

MOST_PARTS = 63     # weights with a larger denominator are rounded, since the kernel grows with it
ROUNDED_PARTS = 37  # the largest denominator of rounded weights
LARGEST = 11        # largest weight of a kernel along one axis: the product of two fits a signed byte
EXACT = 2e-5        # largest error of a weight due to ONNX Runtime's float32 coordinates, plus this per element:
EXACT_EACH = 2e-7


@dataclass(frozen=True)
class Axis:
    """The interpolation along one spatial axis.

    Attributes
    ----------
    places
        The elements of the source that the convolution reads, in order.
    kernel
        The weights of the convolution; they sum to the number of parts.
    stride
        The stride of the convolution.
    error
        The largest difference between a weight and ONNX Runtime's.
    """

    places: Counts
    kernel: Counts
    stride: int
    error: float

    @property
    def parts(self) -> int:
        """The denominator of the weights."""
        return int(self.kernel.sum())

    def weights(self, extent: int) -> Counts:
        """Returns int[results, extent]: the weight, in parts, of each of a source's `extent` elements in each result."""
        starts = np.arange(0, len(self.places) - len(self.kernel) + 1, self.stride)
        found = np.zeros((len(starts), extent), np.int64)
        for tap, weight in enumerate(self.kernel):
            np.add.at(found, (np.arange(len(starts)), self.places[starts + tap]), weight)
        return found


def interpolated_axes(model: Model, node: onnx.NodeProto) -> list[Axis]:
    """Returns the interpolation along each spatial axis of a linear Resize or Upsample of [N, C, ...].

    Raises
    ------
    RefusalError
        The node is not a linear interpolation of the spatial axes.
    """
    mode, transformation = attribute(node, "mode"), attribute(node, "coordinate_transformation_mode", "")
    if mode != "linear":
        raise RefusalError("its interpolation is cubic", "use mode = linear", f"mode = {mode}")
    if attribute(node, "antialias", 0) or transformation == "tf_crop_and_resize":
        what = "antialias = 1" if attribute(node, "antialias", 0) else f"coordinate_transformation_mode = {transformation}"
        raise RefusalError("it interpolates between more than two elements, or outside the image",
                           "use half_pixel, align_corners or asymmetric, without antialias", what)
    before, after = model.shapes[node.input[0]], model.shapes[node.output[0]]
    if before[:2] != after[:2] or len(before) not in (3, 4):
        raise RefusalError("it interpolates between channels", "resize height and width only",
                           f"shapes {list(before)} and {list(after)}")
    return [find_axis(measured_weights(model, node, axis)) for axis in range(2, len(before))]


def measured_weights(model: Model, node: onnx.NodeProto, axis: int) -> NDArray[np.float32]:
    """Returns ONNX Runtime's weights [results, extent] along one axis, measured with one-hot images."""
    extent, rank = model.shapes[node.input[0]][axis], len(model.shapes[node.input[0]])
    shape = [1, extent, *(extent if other == axis else 1 for other in range(2, rank))]
    given = np.eye(extent, dtype=np.float32).reshape(shape)
    alone = copied_node(node)
    alone.input[0] = "x"
    constants = {}
    for index, name in enumerate(node.input[1:], start=1):
        if name and not model.is_constant(name):
            raise RefusalError(f"its operand '{name}' is computed at run time", "use constant scales or sizes", f"'{name}'")
        if name:
            constants[f"operand {index}"] = _along(model, node, index, axis, extent)
            alone.input[index] = f"operand {index}"
    part = small_model(model.proto, [alone], {"x": (given.dtype, given.shape)}, constants, [node.output[0]])
    made = Session(part, optimize=False).run({"x": given})[node.output[0]]
    return made.reshape(extent, -1).T


def _along(model: Model, node: onnx.NodeProto, index: int, axis: int, channels: int) -> NDArray[np.generic]:
    """Returns an operand of the node (scales, or sizes if int64), changed so that it resizes only one axis."""
    values = model.constants[node.input[index]].copy()
    if values.size == 0 or (node.op_type == "Resize" and index == 1 and len(node.input) > 2):
        return values  # the region of interest, or an empty operand
    rank = len(model.shapes[node.input[0]])
    chosen = [other % rank for other in attribute(node, "axes", range(rank))]
    for place, other in enumerate(chosen):
        if other != axis:
            values[place] = channels if other == 1 and values.dtype == np.int64 else 1
    return values


def find_axis(weights: NDArray[np.float32]) -> Axis:
    """Returns the interpolation with the shortest sequence of elements; weights with large denominators are rounded."""
    extent = weights.shape[1]
    tolerance = EXACT + EXACT_EACH * extent
    for parts in range(1, MOST_PARTS + 1):
        counts = np.rint(weights * parts).astype(np.int64)
        error = float(np.abs(counts / parts - weights).max())
        if error <= tolerance and np.all(counts.sum(axis=1) == parts):
            return _shortest(counts, parts, error)
    counts, parts = _rounded(weights)
    return _shortest(counts, parts, float(np.abs(counts / parts - weights).max()))


def _rounded(weights: NDArray[np.float32]) -> tuple[Counts, int]:
    """Returns the weights in parts, and the number of parts, with the smallest error.

    The largest weight of each result is corrected so that its weights sum to the number of parts.
    """
    options = []
    for parts in range(ROUNDED_PARTS // 2, ROUNDED_PARTS + 1):
        counts = np.rint(weights * parts).astype(np.int64)
        counts[np.arange(len(counts)), weights.argmax(axis=1)] += parts - counts.sum(axis=1)
        options.append((float(np.abs(counts / parts - weights).max()), parts, counts))
    _, parts, counts = min(options, key=lambda option: option[:2])
    return counts, parts


def _shortest(counts: Counts, parts: int, error: float) -> Axis:
    found = [axis for axis in _candidates(counts, parts, error)
             if np.array_equal(axis.weights(counts.shape[1]) * parts, counts * axis.parts)]
    return min(found, key=lambda axis: (len(axis.places), len(axis.kernel)))


def _candidates(counts: Counts, parts: int, error: float) -> Iterator[Axis]:
    results, extent = counts.shape
    for factor in {parts, parts // 2} - {0, 1}:     # each element is repeated and windows overlap
        even = factor % 2 == 0
        centred = np.array([1, *[2] * (factor - 1), 1]) if even else np.ones(factor, np.int64)
        reach = len(centred) // 2
        around = np.arange(-reach, results + reach) // factor
        yield Axis(around.clip(0, extent - 1), centred, 1, error)
        ahead = np.arange(results + factor - 1) // factor
        yield Axis(ahead.clip(0, extent - 1), np.ones(factor, np.int64), 1, error)
    kernel = _kernel(parts)
    yield Axis(np.concatenate([_spread(row, kernel) for row in counts]), kernel, len(kernel), error)


def _kernel(parts: int) -> Counts:
    """Returns weights up to `LARGEST` with sum `parts` whose subsets have every sum from 0 to `parts`.

    This holds since each weight is at most one more than the sum of those before it.
    """
    kernel: list[int] = []
    while (total := sum(kernel)) < parts:
        kernel.append(min(total + 1, LARGEST, parts - total))
    return np.array(sorted(kernel), np.int64)


def _spread(row: Counts, kernel: Counts) -> Counts:
    """Assigns an element of the row to each weight of the kernel, such that each element gets its number of parts."""
    elements = np.flatnonzero(row)
    places = np.full(len(kernel), elements[-1])
    left = int(row[elements[0]]) if len(elements) > 1 else 0
    for tap in range(len(kernel) - 1, -1, -1):
        if kernel[tap] <= left:
            places[tap] = elements[0]
            left -= int(kernel[tap])
    return places
