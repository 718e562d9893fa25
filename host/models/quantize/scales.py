"""Value ranges over the calibration, from ONNX Runtime's calibrators, and scales of weights for which it would lose the
bias.

A bias is an integer with scale x_scale * w_scale. If a channel's weights are 0, or tiny compared with its bias (pruned
channels, normalization by a factor near 0), the scale that fits the weights makes the bias overflow or vanish. Such a
channel gets the scale that gives its bias 24 significant bits, as many as float32 has.
"""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import CalibraterBase, TensorData, TensorsData, create_calibrator

from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.origin import described
from arrayloom.compiler.frontend.runtime import Session, quiet, with_only_outputs
from arrayloom.host.models.errors import QuantizeError
from arrayloom.host.models.quantize.calibration import Calibration, Feed
from arrayloom.host.models.quantize.prepare import Prepared
from arrayloom.isa.attention import MOST_QUOTIENT

#: The calibration methods by their public names, the default first.
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}

#: Percentage of a tensor's values within the range of the method "percentile".
PERCENTILE = 99.999

#: Significant bits of a bias; as many as float32 has.
BIAS_BITS = 24

_ABOVE = 2.0**-10    # above a whole number, far enough that no rounding of a reciprocal goes below it

Progress = Callable[[str, int, int], None]
Scales = NDArray[np.float64]
Overrides = dict[str, list[dict[str, Any]]]

_OPTIONS: dict[str, dict[str, Any]] = {"percentile": {"symmetric": False, "percentile": PERCENTILE}}


class _Reader:
    """A calibration data reader of some images."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._left, None)


def find_ranges(prepared: Prepared, middle: Model, calibration: Calibration, method: str,
                progress: Progress | None) -> TensorsData:
    """Minimum and maximum of every float32 value of the middle, by name.

    Raises
    ------
    QuantizeError
        The method is unknown, an image does not fit, or a value becomes NaN or infinite.
    """
    if method not in METHODS:
        raise QuantizeError(f"unknown method '{method}'; known are {', '.join(METHODS)}")
    with tempfile.TemporaryDirectory(prefix="arrayloom-quantize-") as folder:
        model = Path(folder) / "model.onnx"
        onnx.save(middle.proto, model)
        with quiet():
            calibrator = create_calibrator(
                model, None, str(Path(folder) / "augmented.onnx"), METHODS[method], extra_options=_OPTIONS.get(method, {}))
            feeds = _counted(middle_feeds(prepared, middle, calibration), len(calibration), progress)
            ranges = _from_extremes(calibrator, feeds) if method == "minmax" else _from_histograms(calibrator, feeds)
    _check_finite(middle, ranges)
    _settle_softmax(middle, ranges)
    return ranges


def middle_feeds(prepared: Prepared, middle: Model, calibration: Calibration) -> Iterator[Feed]:
    """Yields the middle's inputs image by image; those that are not the network's inputs are computed by the float
    network."""
    names = [value.name for value in middle.inputs]
    made = [name for name in names if name in prepared.model.producers]
    head = Session(with_only_outputs(prepared.model.proto, made)) if made else None
    for feed in calibration.feeds(prepared.ports):
        known = feed | (head.run(feed) if head else {})
        yield {name: known[name] for name in names}


def _from_extremes(calibrator: CalibraterBase, feeds: Iterable[Feed]) -> TensorsData:
    """In one call: this calibrator keeps two numbers per value and image, and is slow to start and stop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # caused by NaN, which `_check_finite` reports
        calibrator.collect_data(_Reader(feeds))
    return calibrator.compute_data()


def _from_histograms(calibrator: CalibraterBase, feeds: Iterable[Feed]) -> TensorsData:
    """Image by image: these calibrators keep all values of the images in one call, and print."""
    for feed in feeds:
        with contextlib.redirect_stdout(io.StringIO()):
            calibrator.collect_data(_Reader([feed]))
    with contextlib.redirect_stdout(io.StringIO()):
        return calibrator.compute_data()


def _counted(feeds: Iterable[Feed], count: int, progress: Progress | None) -> Iterator[Feed]:
    for index, feed in enumerate(feeds):
        yield feed
        if progress is not None:
            progress("calibrating", index + 1, count)


def bounds(ranges: TensorsData, name: str) -> NDArray[np.float64]:
    """Minimum and maximum of a value."""
    data = ranges[name]
    return np.array([float(np.min(data.lowest)), float(np.max(data.highest))])


def all_bounds(ranges: TensorsData) -> dict[str, NDArray[np.float64]]:
    """Minimum and maximum of every value."""
    return {name: bounds(ranges, name) for name in ranges.keys()}  # noqa: SIM118 (it is no mapping)


def _settle_softmax(middle: Model, ranges: TensorsData) -> None:
    """Let the range of every softmax begin at 0, and end where 1 / scale is a whole number, as QLinearSoftmax takes it."""
    steps = np.iinfo(np.uint8).max
    for node in middle.nodes:
        if node.op_type == "Softmax" and node.output[0] in ranges:
            whole = min(int(steps / max(bounds(ranges, node.output[0])[1], steps / MOST_QUOTIENT)), MOST_QUOTIENT)
            ranges[node.output[0]] = TensorData(lowest=np.float32(0), highest=np.float32(steps / (whole + _ABOVE)))


def _check_finite(middle: Model, ranges: TensorsData) -> None:
    for node in middle.nodes:
        for name in node.output:
            if name in ranges and not np.isfinite(bounds(ranges, name)).all():
                raise QuantizeError(f"'{name}', the result of {described(node)}, is not finite on the "
                                    "calibration images; check the preprocessing recipe and the weights")


def channel_axis(node: onnx.NodeProto) -> int | None:
    """The axis of a node's weights for the channels of its result; None if it has no bias."""
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1}.get(node.op_type)


def weight_overrides(model: Model, scales: Mapping[str, tuple[float, int]]) -> Overrides:
    """The argument `TensorQuantOverrides` of ONNX Runtime's quantizer, for the weights that need it.

    Parameters
    ----------
    model : Model
        The prepared network.
    scales : Mapping[str, tuple[float, int]]
        Scale and zero point of each quantized value.
    """
    chosen: dict[str, tuple[int, Scales]] = {}
    for node in model.nodes:
        axis = channel_axis(node)
        if axis is None or len(node.input) < 3 or node.input[0] not in scales:
            continue
        if not all(model.is_constant(name) for name in node.input[1:]):
            continue
        natural, wanted = _natural(model, node, axis), _wanted(model, node, scales[node.input[0]][0])
        if wanted.size == natural.size and np.any(wanted > natural):
            _, earlier = chosen.get(node.input[1], (axis, natural))
            chosen[node.input[1]] = axis, np.maximum(earlier, wanted)
    return {name: [{"axis": axis, "scale": np.float32(scale or 1), "zero_point": np.int8(0)} for scale in values]
            for name, (axis, values) in chosen.items()}


def _natural(model: Model, node: onnx.NodeProto, axis: int) -> Scales:
    """The scales that fit the weights; 0 for a channel of zeros."""
    weight = model.constants[node.input[1]]
    others = tuple(index for index in range(weight.ndim) if index != axis)
    largest = np.maximum(weight.max(axis=others), -weight.min(axis=others))
    return largest.astype(np.float64) / np.iinfo(np.int8).max


def _wanted(model: Model, node: onnx.NodeProto, x_scale: float) -> Scales:
    bias = model.constants[node.input[2]].astype(np.float64).reshape(-1)
    return np.abs(bias) / (x_scale * 2.0**BIAS_BITS)
