"""The matrix products of a plan: activations times prepared weights, requantized, with ONNX Runtime's integer kernels or in
float32.

Both are exact. ONNX Runtime adds 8-bit products in 32 bits; it is used only if no sum can overflow. On CPUs with AVX2 but
without VNNI, its kernel for signed weights adds pairs of products in 16 bits; if a trial detects this, it gets unsigned
weights. The float32 form adds at most ``EXACT_PRODUCTS`` products at a time, which float32 represents exactly.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from threadpoolctl import threadpool_limits

from arrayloom.isa import arithmetic
from arrayloom.sim.emulator.convolve import EXACT_PRODUCTS, multiply

Bytes = NDArray[np.int8]

FLIP = np.uint8(0x80)           # int8 to uint8: ONNX Runtime's kernels that are exact on every CPU take uint8
LARGEST_PRODUCT = 1 << 14       # largest product of two signed bytes
LARGEST_SUM = (1 << 31) - 1


class Library(StrEnum):
    """The library for products: ONNX Runtime, or numpy's BLAS in float32, which is independent of the reference of
    `verify`."""

    ONNXRUNTIME = "onnxruntime"
    BLAS = "blas"


class Product(Protocol):
    """Maps int8[..., terms] to int8[..., columns]; may modify its argument."""

    def __call__(self, activations: Bytes) -> Bytes: ...


class Requantization:
    """The requantization of each column's sums: `bias` int32[columns], `scale` float32[columns], and the bounds of the
    result."""

    def __init__(self, bias: NDArray[np.int32], scale: NDArray[np.float32], zero_point: int, low: int, high: int) -> None:
        self.bias, self.scale, self.zero_point = bias, scale, zero_point
        self.low, self.high = np.int8(low), np.int8(high)

    @property
    def clamps(self) -> bool:
        """Whether the bounds are narrower than those of int8."""
        return bool(self.low > -128 or self.high < 127)


def make_product(library: Library, weights: Bytes, form: Requantization) -> Product:
    """The product with int8[terms, columns] weights, requantized with ``form``."""
    if library is Library.ONNXRUNTIME and _fits(weights, form):
        return OnnxRuntimeProduct(weights, form, signed_weights=exact_kernels())
    return BlasProduct(weights, form)


def _fits(weights: Bytes, form: Requantization) -> bool:
    """Whether every sum with its bias fits into 32 bits, and the zero point into 8."""
    most = len(weights) * LARGEST_PRODUCT + int(np.abs(form.bias.astype(np.int64)).max(initial=0))
    return most <= LARGEST_SUM and -128 <= form.zero_point <= 127


class OnnxRuntimeProduct:
    """A QLinearConv of one tap whose scales are the requantization's: sum, bias and rounding in one pass.

    It keeps the weights only in the kernel's packed order.
    """

    def __init__(self, weights: Bytes, form: Requantization, signed_weights: bool) -> None:
        self._form, self._columns = form, weights.shape[1]
        self._session = _session(_model(weights, form, signed_weights))

    def __call__(self, activations: Bytes) -> Bytes:
        given = activations.view(np.uint8)
        np.bitwise_xor(given, FLIP, out=given)
        found = self._session.run(None, {"x": given.reshape(1, 1, -1, given.shape[-1])})[0]
        result = np.bitwise_xor(found, FLIP, out=found).view(np.int8).reshape(*given.shape[:-1], self._columns)
        return np.clip(result, self._form.low, self._form.high, out=result) if self._form.clamps else result


class DividedProduct:
    """Products of the same activations, concatenated."""

    def __init__(self, parts: Sequence[Product]) -> None:
        self._parts = parts

    def __call__(self, activations: Bytes) -> Bytes:
        return np.concatenate([part(activations.copy()) for part in self._parts], -1)


class BlasProduct:
    """The same in float32, with sums of few enough products to be exact; it keeps the weights in float32."""

    def __init__(self, weights: Bytes, form: Requantization) -> None:
        self._form, self._weights = form, weights.astype(np.float32)

    def __call__(self, activations: Bytes) -> Bytes:
        form = self._form
        with threadpool_limits(1, "blas"):
            rows = activations.reshape(-1, activations.shape[-1]).astype(np.float32)
            sums = multiply(rows, self._weights, EXACT_PRODUCTS)
        rounded = arithmetic.requantize_float(sums + form.bias, form.scale)
        result = np.clip(rounded + form.zero_point, form.low, form.high).astype(np.int8)
        return result.reshape(*activations.shape[:-1], -1)


@cache
def exact_kernels() -> bool:
    """Whether ONNX Runtime's kernel for signed weights adds without saturation here: tried on the largest sums."""
    terms = 256
    weights = np.repeat(np.array([[127, -128]], np.int8), terms, 0)
    form = Requantization(np.zeros(2, np.int32), np.full(2, 2.0 ** -16, np.float32), 0, -128, 127)
    rows = np.repeat(np.array([[127], [-128]], np.int8), terms, 1)
    return bool((BlasProduct(weights, form)(rows) == OnnxRuntimeProduct(weights, form, True)(rows)).all())


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1     # a plan itself divides the rows among threads
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False   # release the memory of each call
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    session._model_bytes = None     # avoids a second copy of the weights
    return session


def _model(weights: Bytes, form: Requantization, signed_weights: bool) -> onnx.ModelProto:
    terms, columns = weights.shape
    given = np.ascontiguousarray(weights.T)[:, :, None, None]
    zero = np.full(columns, 0 if signed_weights else FLIP, np.int8 if signed_weights else np.uint8)
    constants: dict[str, NDArray[Any]] = {
        "one": np.array(1, np.float32), "zero": np.array(FLIP), "scale": form.scale, "bias": form.bias,
        "w": given if signed_weights else given.view(np.uint8) ^ FLIP, "wzero": zero,
        "yzero": np.array(form.zero_point + 128, np.uint8)}
    node = helper.make_node("QLinearConv", ["x", "one", "zero", "w", "scale", "wzero", "one", "yzero", "bias"], ["y"],
                            domain="com.microsoft", channels_last=1)
    graph = helper.make_graph(
        [node], "product", [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 1, None, terms])],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, [1, 1, None, columns])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    return helper.make_model(graph, ir_version=8,
                             opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
