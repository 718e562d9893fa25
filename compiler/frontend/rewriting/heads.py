"""Heads of attention: whatever movements make the operands of a product of two activations, they become the same few.

Exporters take queries, keys and values out of one tensor of tokens in many ways: Reshape, Transpose, Split, Gather and
Squeeze in any order, on the way the batch is not the first dimension, and factors in between. Indices tell what all of
them amount to: each operand is a selection of channels of tokens [N, T, C], put apart by heads, [N, H, T, D] or
[N, H, D, T]. It is written as Slice, Reshape and Transpose, after the factors, so that the batch stays where it is and
factors meet whole tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.frontend.attention import PRODUCTS, RANK, is_product
from arrayloom.compiler.frontend.attributes import attributes_of
from arrayloom.compiler.frontend.kinds import MOVEMENTS, NOTHING
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.movement import Indices, in_place, trace
from arrayloom.compiler.frontend.opsets import MICROSOFT
from arrayloom.compiler.frontend.quantization import Quantization, known_quantization
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.frontend.rewriting.editor import Editor

_FACTORS = {"Mul": (0, 1), "Div": (0, 1), "QLinearMul": (0, 3)}


@dataclass(frozen=True)
class _Moved:
    """A value that holds elements of tokens in other places.

    Attributes
    ----------
    real, whole
        Names of the tokens in float and as integers; empty for what no node makes yet.
    quantization
        How one follows from the other.
    shape
        Of the tokens.
    index
        In the value's shape, the flat index of the tokens.
    """

    real: str
    whole: str
    quantization: Quantization | None
    shape: tuple[int, ...]
    index: Indices


@dataclass(frozen=True)
class _Heads:
    """An operand by heads.

    Attributes
    ----------
    channels
        [H, D], the channel of the tokens that each is.
    turned
        Whether the operand is [H, D, T], not [H, T, D].
    """

    channels: Indices
    turned: bool


def gather_heads(model: Model, real: bool = False) -> Model:
    """The model with operands of products of activations made of whole tokens; as it is where it has none.

    Parameters
    ----------
    model
        The model.
    real
        Whether tokens may be float values that nothing quantizes, as in a model that is yet to be quantized.
    """
    if not any(is_product(model, node) for node in model.nodes):
        return model
    work = _Gathering(model, real)
    for node in model.nodes:
        if not model.is_constant(next(name for name in node.output if name)):
            work.visit(node)
    return work.editor.finish()


class _Gathering:
    def __init__(self, model: Model, real: bool) -> None:
        self.model = model
        self.editor = Editor(model)
        self._real = real
        self._moved: dict[str, _Moved] = {}

    def visit(self, node: onnx.NodeProto) -> None:
        """Follow the elements of tokens through a node, or give it other operands."""
        rules: dict[str, Callable[[onnx.NodeProto], None]] = {
            "DequantizeLinear": self._dequantize, "QuantizeLinear": self._quantize, "Split": self._move,
            **dict.fromkeys((*MOVEMENTS, *NOTHING), self._move), **dict.fromkeys(_FACTORS, self._scale),
            **dict.fromkeys(PRODUCTS, self._multiply)}
        if node.op_type in rules:
            rules[node.op_type](node)

    def _dequantize(self, node: onnx.NodeProto) -> None:
        quantization, value = known_quantization(self.model, node), node.input[0]
        found = self._moved.get(value)
        if quantization is None:
            return
        if found is None and len(self.model.shapes[value]) == RANK:
            shape = self.model.shapes[value]
            self._moved[node.output[0]] = _Moved(node.output[0], value, quantization, shape, in_place(shape))
        elif found is not None and found.quantization in (None, quantization):
            real = found.real or self._repeat(node, found.whole)
            self._moved[node.output[0]] = replace(found, real=real, quantization=quantization)

    def _quantize(self, node: onnx.NodeProto) -> None:
        quantization, found = known_quantization(self.model, node), self._moved.get(node.input[0])
        if found is None or quantization is None:
            return
        if not found.whole:
            whole = self._repeat(node, found.real)
            self._moved[node.output[0]] = replace(found, real="", whole=whole, quantization=quantization)
        elif quantization == found.quantization:
            self._moved[node.output[0]] = found

    def _move(self, node: onnx.NodeProto) -> None:
        """Let the indices of the tokens go through a movement."""
        value = node.input[0]
        found = self._moved.get(value)
        found = found or self._root(value)
        if found is None:
            return
        try:
            indices = trace(self.model, node, found.index, fill_index=-1)
        except RefusalError:
            return
        for name, index in zip((name for name in node.output if name), indices, strict=True):
            if (index >= 0).all():
                self._moved[name] = replace(found, index=index)

    def _root(self, value: str) -> _Moved | None:
        """A value that is tokens itself; None where it is not, such as [N, C, T], out of which a convolution's tokens are
        moved."""
        node, shape, dtype = self.model.producers.get(value), self.model.shapes[value], self.model.dtypes[value]
        if len(shape) != RANK or (node is not None and node.op_type in ("Conv", "QLinearConv")):
            return None
        if dtype.itemsize == 1:
            return _Moved("", value, None, shape, in_place(shape))
        return _Moved(value, "", None, shape, in_place(shape)) if self._real and dtype == np.float32 else None

    def _scale(self, node: onnx.NodeProto) -> None:
        """Let one factor meet the tokens of all heads."""
        model = self.model
        places = _FACTORS[node.op_type]
        given = [place for place in places if not model.is_constant(node.input[place])]
        if len(given) != 1 or model.constants[node.input[sum(places) - given[0]]].size != 1:
            return
        found = self._moved.get(node.input[given[0]])
        heads = None if found is None else _heads(found)
        if found is None or heads is None:
            return
        inputs = list(node.input)
        inputs[given[0]] = self._tokens(node, found, heads)
        for place in set(places) - set(given):      # a factor of more dimensions would give the tokens as many
            inputs[place] = self.editor.constant(f"{node.output[0]}_factor", model.constants[inputs[place]].reshape(()))
        made = self._repeat(node, *inputs)
        count, depth = heads.channels.shape
        shape = (1, found.shape[1], count * depth)
        apart = in_place((shape[1], count, depth)).transpose(1, 2, 0) if heads.turned else in_place(
            (shape[1], count, depth)).transpose(1, 0, 2)
        names = {"whole": made, "real": ""} if node.op_type.startswith("QLinear") else {"whole": "", "real": made}
        self._moved[node.output[0]] = _Moved(**names, quantization=None, shape=shape, index=apart.reshape(found.index.shape))

    def _multiply(self, node: onnx.NodeProto) -> None:
        """Make the operands of a product of activations of tokens."""
        if not is_product(self.model, node):
            return
        for place in PRODUCTS[node.op_type]:
            found = self._moved.get(node.input[place])
            heads = None if found is None else _heads(found)
            if found is not None and heads is not None:
                made = self._apart(node, found, heads)
                changed = self.editor.maker(node.output[0])
                changed.input[place] = made
                self.editor.touch()

    def _tokens(self, node: onnx.NodeProto, found: _Moved, heads: _Heads) -> str:
        """The tokens with the channels of all heads only, for `node`."""
        source = found.whole if node.op_type.startswith("QLinear") else found.real
        channels = heads.channels.ravel()
        if np.array_equal(channels, np.arange(found.shape[2])):
            return source
        name = self.editor.fresh(f"{node.output[0]}_tokens")
        if np.array_equal(channels, np.arange(channels[0], channels[0] + channels.size)):
            bounds = [channels[0], channels[0] + channels.size, RANK - 1]
            names = [self.editor.constant(f"{name}_{end}", np.array([bound], np.int64))
                     for end, bound in zip(("start", "end", "axis"), bounds, strict=True)]
            return self.editor.add("Slice", [source, *names], name, node)
        picks = self.editor.constant(f"{name}_channels", channels)
        return self.editor.add("Gather", [source, picks], name, node, axis=RANK - 1)

    def _apart(self, node: onnx.NodeProto, found: _Moved, heads: _Heads) -> str:
        """The operand [N, H, T, D] or [N, H, D, T]."""
        tokens, (count, depth) = self._tokens(node, found, heads), heads.channels.shape
        shape = self.editor.constant(f"{node.output[0]}_heads", np.array([0, found.shape[1], count, depth], np.int64))
        apart = self.editor.add("Reshape", [tokens, shape], self.editor.fresh(f"{node.output[0]}_apart"), node)
        order = [0, 2, 3, 1] if heads.turned else [0, 2, 1, 3]
        return self.editor.add("Transpose", [apart], self.editor.fresh(f"{node.output[0]}_operand"), node, perm=order)

    def _repeat(self, node: onnx.NodeProto, *inputs: str) -> str:
        """The node again, on other operands, or on another first one."""
        given: Sequence[str] = inputs if len(inputs) > 1 else [inputs[0], *node.input[1:]]
        attributes: dict[str, Any] = {name: value for name, value in attributes_of(node).items() if name != "axis"}
        name = self.editor.fresh(f"{node.output[0]}_of_tokens")
        domain = MICROSOFT if node.domain == MICROSOFT else ""
        return self.editor.add(node.op_type, given, name, node, domain=domain, **attributes)


def _heads(found: _Moved) -> _Heads | None:
    """How an operand [1, H, T, D] or [1, H, D, T] is made of tokens; None where it is not."""
    extents = list(found.index.shape)
    if len(extents) < RANK or extents[:-RANK] not in ([], [1]):
        return None
    _, tokens, width = found.shape
    index = found.index.reshape(extents[-RANK:])
    for turned in (False, True):
        by_token = index.swapaxes(1, 2) if turned else index
        if by_token.shape[1] != tokens:
            continue
        channels = by_token[:, 0] % width
        expected = np.arange(tokens)[:, np.newaxis] * width + channels[:, np.newaxis]
        if np.array_equal(by_token, expected):
            return _Heads(channels, turned)
    return None
