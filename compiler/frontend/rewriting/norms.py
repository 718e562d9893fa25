"""Layer normalization between quantized values: exact integer sums, then float32 operations element by element.

ONNX Runtime's LayerNormalization adds float32 values in an order that differs between its releases. What is written instead
is computed alike by all of them: for D elements with bytes q along the last axis,

    c = q - zero                                    int32
    d = D * c - sum(c)                              int32, less than 2**24
    v = D * sum(c * c) - sum(c)**2 + e              int64, e = rne(epsilon * D**2 / scale**2), 1 at least
    n = Round(float(d) * (2**20 / Sqrt(float(v))))  float32, then int32
    y = QuantizeLinear(float(n * w + b) * s)        w = sign(gamma), b = rne(2**20 * beta / |gamma|),
                                                    s = |gamma| / (2**20 * y_scale)

so that the last line is a requantization with a bias and a scale for each channel. Nodes of it carry a mark, since passes
that lower other operators must leave them, and the last is where the integer graph takes it up.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.frontend.attention import NORM, mark
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.kinds import moves
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.opsets import is_onnx
from arrayloom.compiler.frontend.options import ImportOptions
from arrayloom.compiler.frontend.quantization import Quantization, known_quantization
from arrayloom.compiler.frontend.report import RefusalError, Report
from arrayloom.compiler.frontend.rewriting.editor import Editor
from arrayloom.compiler.frontend.runtime import Array
from arrayloom.isa.attention import MOST_NORMALIZED, NORM_FRACTION

_LARGEST_BIAS = 1 << 30         # sums with a normalized element stay in int32
_LARGEST_EPSILON = 1 << 40


@dataclass(frozen=True)
class _Norm:
    """A LayerNormalization: its operand's integers, what it gives, and its constants."""

    node: onnx.NodeProto
    x: str
    given: Quantization
    made: Quantization
    gamma: Array
    beta: Array

    @property
    def count(self) -> int:
        return int(self.gamma.size)

    @property
    def epsilon(self) -> int:
        """e of the definition."""
        real = float(np.float32(attribute(self.node, "epsilon", 1e-5))) * (self.count / float(self.given.scale)) ** 2
        return int(np.clip(np.rint(real), 1, _LARGEST_EPSILON))

    @property
    def weight(self) -> Array:
        return np.sign(self.gamma)

    @property
    def bias(self) -> Array:
        size = np.where(self.gamma == 0, 1.0, np.abs(self.gamma.astype(np.float64)))
        return np.rint(self.beta.astype(np.float64) * (1 << NORM_FRACTION) / size)

    @property
    def scale(self) -> Array:
        size = np.where(self.gamma == 0, 1.0, np.abs(self.gamma.astype(np.float64)))
        return (size / (1 << NORM_FRACTION) / float(self.made.scale)).astype(np.float32)


def open_norms(model: Model, report: Report, options: ImportOptions) -> Model:
    """The model with its layer normalizations written out; one whose operand or result stays in float is left."""
    editor = Editor(model)
    for node in model.nodes if options.attention else ():
        norm = _norm(model, node)
        if norm is None:
            continue
        try:
            _check(norm)
        except RefusalError as refusal:
            report.refuse(node, refusal)
        else:
            _write(editor, norm)
    return editor.finish()


def _check(norm: _Norm) -> None:
    """Refuse parameters that leave the range of int32 or float32."""
    channel = int(np.abs(norm.bias).argmax())
    if abs(norm.bias[channel]) >= _LARGEST_BIAS:
        most = _LARGEST_BIAS >> NORM_FRACTION
        raise RefusalError(f"its offset is more than {most} times its factor in channel {channel}",
                           "set such a factor to 0, or train with weight decay on it",
                           f"{norm.gamma[channel]:.4g} and {norm.beta[channel]:.4g}")
    if not np.isfinite(norm.scale).all():
        raise RefusalError("its factor over its result's scale leaves the range of float32", "calibrate again",
                           f"scale = {norm.made.scale}")


def _norm(model: Model, node: onnx.NodeProto) -> _Norm | None:
    if node.op_type != "LayerNormalization" or not is_onnx(node) or len([name for name in node.output if name]) > 1:
        return None
    shape, dequantizer = model.shapes[node.input[0]], model.producers.get(node.input[0])
    axis = int(attribute(node, "axis", -1)) % len(shape)
    constant = all(not name or model.is_constant(name) for name in node.input[1:])
    if dequantizer is None or dequantizer.op_type != "DequantizeLinear" or axis != len(shape) - 1 or not constant:
        return None
    given, made = known_quantization(model, dequantizer), _result(model, node.output[0])
    count = shape[-1]
    if given is None or made is None or not 2 <= count <= MOST_NORMALIZED:
        return None
    gamma = np.broadcast_to(model.constants[node.input[1]].ravel(), (count,))
    beta = model.constant(node, 2)
    return _Norm(node, dequantizer.input[0], given, made, gamma,
                 np.zeros(count, np.float32) if beta is None else np.broadcast_to(beta.ravel(), (count,)))


def _result(model: Model, value: str) -> Quantization | None:
    """How a value is quantized, by all that read it, directly or after movements; None if they differ."""
    found: set[Quantization | None] = set()
    waiting = [value]
    while waiting:
        name = waiting.pop()
        readers = model.consumers.get(name, [])
        if name in model.outputs or not readers:
            return None
        for reader in readers:
            if moves(reader) and reader.input[0] == name:
                waiting += [output for output in reader.output if output]
            else:
                found.add(known_quantization(model, reader) if reader.op_type == "QuantizeLinear" else None)
    return found.pop() if len(found) == 1 else None


class _Writer:
    """Adds the nodes of one normalization."""

    def __init__(self, editor: Editor, norm: _Norm) -> None:
        self.editor, self.norm = editor, norm

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or self.editor.fresh(f"{self.norm.node.output[0]}_{operator}")
        self.editor.add(operator, inputs, name, self.norm.node, **attributes)
        mark(self.editor.maker(name), NORM)
        return name

    def constant(self, value: Any, dtype: Any) -> str:
        return self.editor.constant(f"{self.norm.node.output[0]}_norm_operand", np.asarray(value), dtype)

    def cast(self, value: str, dtype: int) -> str:
        return self.add("Cast", value, to=dtype)


def _write(editor: Editor, norm: _Norm) -> None:
    work = _Writer(editor, norm)
    editor.remove([norm.node])
    small, large, real = onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
    axes, count = work.constant([-1], np.int64), norm.count
    c = work.add("Sub", work.cast(norm.x, small), work.constant(norm.given.zero_point, np.int32))
    total = work.add("ReduceSum", c, axes, keepdims=1)
    squares = work.add("ReduceSum", work.add("Mul", c, c), axes, keepdims=1)
    d = work.add("Sub", work.add("Mul", c, work.constant(count, np.int32)), total)
    wide = work.cast(total, large)
    spread = work.add("Mul", work.cast(squares, large), work.constant(count, np.int64))
    variance = work.add("Sub", spread, work.add("Mul", wide, wide))
    variance = work.add("Add", variance, work.constant(norm.epsilon, np.int64))
    inverse = work.add("Div", work.constant(1 << NORM_FRACTION, np.float32), work.add("Sqrt", work.cast(variance, real)))
    n = work.cast(work.add("Round", work.add("Mul", work.cast(d, real), inverse)), small)
    signed = work.add("Mul", n, work.constant(norm.weight, np.int32))
    biased = work.add("Add", signed, work.constant(norm.bias, np.int32))
    _quantize(work, work.add("Mul", work.cast(biased, real), work.constant(norm.scale, np.float32)))


def _quantize(work: _Writer, value: str) -> None:
    """Quantize the result under the name that its first quantizer gives it, and dequantize it for what moves it before."""
    editor, norm, result = work.editor, work.norm, work.norm.node.output[0]
    readers = editor.model.consumers[result]
    quantizers = [reader for reader in readers if reader.op_type == "QuantizeLinear"]
    whole = quantizers[0].output[0] if quantizers else editor.fresh(f"{result}_quantized")
    editor.remove(quantizers)
    one = work.constant(1, np.float32)
    work.add("QuantizeLinear", value, one, work.constant(norm.made.zero_point, norm.made.dtype), output=whole)
    for other in quantizers[1:]:
        editor.add("Identity", [whole], other.output[0], norm.node)
    if len(quantizers) < len(readers):
        scale = editor.constant(f"{whole}_scale", float(norm.made.scale), np.float32)
        zero = editor.constant(f"{whole}_zero_point", norm.made.zero_point, norm.made.dtype)
        editor.add("DequantizeLinear", [whole, scale, zero], result, norm.node)
