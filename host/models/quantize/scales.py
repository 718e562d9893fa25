"""The range of every value over the calibration, by ONNX Runtime's calibrators."""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod
from onnxruntime.quantization.calibrate import CalibraterBase, TensorsData, create_calibrator

from arrayloom.host.models.quantize.calibration import Calibration, Feed
from arrayloom.host.models.quantize.errors import QuantizeError
from arrayloom.host.models.quantize.prepare import Prepared

#: The methods by the names that users choose them by, the default first.
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}

#: Of the values of a tensor, the share that keeps its place under the method "percentile", in percent.
PERCENTILE = 99.999

Progress = Callable[[str, int, int], None]

_OPTIONS: dict[str, dict[str, Any]] = {"percentile": {"symmetric": False, "percentile": PERCENTILE}}


class _Reader:
    """A calibration data reader of some images."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._left, None)


def find_ranges(prepared: Prepared, calibration: Calibration, method: str, progress: Progress | None) -> TensorsData:
    """Lowest and highest of every float32 value, by its name.

    Raises:
        QuantizeError: an unknown method, an image that does not fit, or a value that becomes NaN or infinite.
    """
    if method not in METHODS:
        raise QuantizeError(f"unknown method '{method}'; known are {', '.join(METHODS)}")
    with tempfile.TemporaryDirectory(prefix="arrayloom-quantize-") as folder:
        model = Path(folder) / "model.onnx"
        onnx.save(prepared.model.proto, model)
        calibrator = create_calibrator(
            model, None, str(Path(folder) / "augmented.onnx"), METHODS[method], extra_options=_OPTIONS.get(method, {}))
        feeds = _counted(calibration.feeds(prepared.ports), len(calibration), progress)
        ranges = _from_extremes(calibrator, feeds) if method == "minmax" else _from_histograms(calibrator, feeds)
    _check_finite(prepared, ranges)
    return ranges


def _from_extremes(calibrator: CalibraterBase, feeds: Iterable[Feed]) -> TensorsData:
    """In one go: this calibrator keeps two numbers a value and image, and is slow to start and stop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of NaN, which `_check_finite` explains
        calibrator.collect_data(_Reader(feeds))
    return calibrator.compute_data()


def _from_histograms(calibrator: CalibraterBase, feeds: Iterable[Feed]) -> TensorsData:
    """Image by image: these calibrators keep all values of the images they are given together, and print."""
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
    """Lowest and highest of a value."""
    data = ranges[name]
    return np.array([float(np.min(data.lowest)), float(np.max(data.highest))])


def _check_finite(prepared: Prepared, ranges: TensorsData) -> None:
    for node in prepared.model.nodes:
        for name in node.output:
            if name in ranges and not np.isfinite(bounds(ranges, name)).all():
                raise QuantizeError(f"'{name}', the result of {node.op_type} '{node.name}', is not finite on the "
                                    "calibration images; check the preprocessing recipe and the weights")
