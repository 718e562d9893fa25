"""Softmax and layer normalization, equal to ONNX Runtime's in every byte."""

import numpy as np
import onnx
import onnx.parser
import pytest
from numpy.typing import NDArray

from arrayloom.compiler.frontend.runtime import Session
from arrayloom.isa.attention import NORM_FRACTION, deviations, normalized, softmax, softmax_factor, softmax_table

Bytes = NDArray[np.uint8] | NDArray[np.int8]


def _softmax_of_onnxruntime(x: Bytes, x_scale: np.float32, y_scale: np.float32, zero: int) -> Bytes:
    kind = str(x.dtype)
    model = onnx.parser.parse_model(f"""
    <ir_version: 9, opset_import: ["" : 17, "com.microsoft" : 1]>
    rows ({kind}[N, {x.shape[1]}] x) => ({kind}[N, {x.shape[1]}] y)
    {{ y = com.microsoft.QLinearSoftmax<axis = -1, opset = 13>(x, x_scale, x_zero, y_scale, y_zero) }}""")
    given = {"x_scale": x_scale, "x_zero": x.dtype.type(0), "y_scale": y_scale, "y_zero": x.dtype.type(zero)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), name) for name, v in given.items())
    return Session(model).run({"x": x})["y"]


def _differing(rng: np.random.Generator, rows: int) -> int:
    """Bytes of rows with drawn scales that differ; narrow ranges of bytes have ties and sums of like numbers."""
    dtype = np.dtype(rng.choice([np.uint8, np.int8]))
    limits = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    elements, width = int(rng.choice([2, 3, 17, 65, 197])), int(rng.integers(1, 257))
    x_scale = np.float32(2.0 ** rng.uniform(-9, 1))
    y_scale = np.float32(rng.choice([1 / 256, 1 / 255, 1 / 253.5, 2.0 ** rng.uniform(-9, 0)]))
    zero = int(rng.choice([limits[0], limits[0] + 5, 0 if dtype == np.int8 else 7]))
    low = limits[0] + int(rng.integers(0, 257 - width))
    x = rng.integers(low, low + width, (rows, elements)).astype(dtype)
    got = softmax(x.astype(np.int64), softmax_table(x_scale, elements), softmax_factor(y_scale), zero, limits)
    return int((got != _softmax_of_onnxruntime(x, x_scale, y_scale, zero)).sum())


def test_softmax_equals_onnxruntime() -> None:
    rng = np.random.default_rng(1)
    assert sum(_differing(rng, 500) for _ in range(40)) == 0


@pytest.mark.slow
def test_a_million_rows_of_softmax_equal_onnxruntime() -> None:
    rng = np.random.default_rng(2)
    assert sum(_differing(rng, 5000) for _ in range(200)) == 0


def _norm_of_onnxruntime(d: NDArray[np.int32], variance: NDArray[np.int64], optimized: bool) -> NDArray[np.float32]:
    model = onnx.parser.parse_model(f"""
    <ir_version: 9, opset_import: ["" : 17]>
    rows (int32[N, {d.shape[1]}] d, int64[N, 1] v) => (float[N, {d.shape[1]}] n)
    <float unit = {{{float(1 << NORM_FRACTION)}}}> {{
        vf = Cast<to = 1>(v)
        root = Sqrt(vf)
        inverse = Div(unit, root)
        df = Cast<to = 1>(d)
        product = Mul(df, inverse)
        n = Round(product)
    }}""")
    return Session(model, optimize=optimized).run({"d": d, "v": variance})["n"]


def _norms_differing(rng: np.random.Generator, rows: int) -> int:
    elements = int(rng.choice([2, 7, 64, 192, 768]))
    width = int(rng.integers(1, 257))
    x = rng.integers(-128, -128 + width, (rows, elements))
    d, variance = deviations(x, axis=1)
    variance = variance + int(2 ** rng.uniform(0, 20))
    got = normalized(d, variance)
    expected = [_norm_of_onnxruntime(d.astype(np.int32), variance, optimized) for optimized in (True, False)]
    return sum(int((got != each).sum()) for each in expected)


def test_normalization_equals_onnxruntime_at_every_level_of_optimization() -> None:
    rng = np.random.default_rng(3)
    assert sum(_norms_differing(rng, 200) for _ in range(30)) == 0


@pytest.mark.slow
def test_a_million_rows_of_normalization_equal_onnxruntime() -> None:
    rng = np.random.default_rng(4)
    assert sum(_norms_differing(rng, 2000) for _ in range(500)) == 0
