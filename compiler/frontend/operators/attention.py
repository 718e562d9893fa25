"""Products of two activations, softmax of scores, and layer normalization."""

from typing import Any

import numpy as np
import onnx

from arrayloom.compiler.attention import LayerNorm, Mixture, Scores, Softmax
from arrayloom.compiler.frontend.attention import RANK
from arrayloom.compiler.frontend.attributes import attribute
from arrayloom.compiler.frontend.builder import Builder
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.moved import Moved
from arrayloom.compiler.frontend.movement import Indices, in_place
from arrayloom.compiler.frontend.quantization import scale_ratio
from arrayloom.compiler.frontend.report import RefusalError
from arrayloom.compiler.graph import Op, Tensor
from arrayloom.isa.attention import softmax_factor, softmax_table
from arrayloom.isa.host_steps import SMALLEST_SOFTMAX_SCALE

_NORMALIZED = "normalize the channels of tokens [N, T, C] or of maps [N, H, W, C]"
_SHAPES = "use queries, keys and values [N, T, C] of heads [N, H, T, D] side by side, and a softmax between the two products"


def product(builder: Builder, node: onnx.NodeProto) -> None:
    """QLinearMatMul of queries by keys [N, H, T, D] x [N, H, D, T], or of weights by values [N, H, T, T] x [N, H, T, D]."""
    model, (first, second, result) = builder.model, (node.input[0], node.input[3], node.output[0])
    if len(model.shapes[result]) != 4:
        raise RefusalError("a product of two activations without heads", _SHAPES, f"shape {list(model.shapes[result])}")
    heads, rows, columns = model.shapes[result][1:]
    (a, a_index), (b, b_index) = (_origin(builder, name) for name in (first, second))
    keys = _by_head(b, heads, turned=True)
    if np.array_equal(b_index, keys) and np.array_equal(a_index, _by_head(a, heads, turned=False)):
        kind: type[Op] = Scores
        shape, places = (rows, heads, columns), in_place((rows, heads, columns)).transpose(1, 0, 2)
    elif np.array_equal(b_index, _by_head(b, heads, turned=False)) and np.array_equal(a_index, _by_query(a)):
        kind = Mixture
        shape, places = (b.shape[0], 1, rows), _by_head(Tensor("", (b.shape[0], 1, rows), b.dtype, ()), heads, turned=False)
    else:
        raise RefusalError("its operands are not those of attention", _SHAPES,
                           f"shapes {list(model.shapes[first])} and {list(model.shapes[second])}")
    made = _declare(builder, f"{result}, by {'query' if kind is Scores else 'channel'}", shape, result)
    builder.add(kind, node, made, a=a.name, b=b.name, heads=heads, **_constants(builder, node))
    index = places.reshape(1, *places.shape)
    builder.defer(result, Moved(made, index, None, node, made, index))


def softmax(builder: Builder, node: onnx.NodeProto) -> None:
    """QLinearSoftmax of scores with queries in front, [N, Tq, H, Tk]."""
    model, x = builder.model, builder.tensor(node.input[0])
    rank = len(model.shapes[node.input[0]])
    if int(attribute(node, "axis", -1)) % rank != rank - 1 or x.shape != tuple(model.shapes[node.input[0]][1:]):
        raise RefusalError("it is no softmax over the keys of attention", _SHAPES, f"shape {list(x.onnx_shape)}")
    given, made = builder.quantization(node, 1, x.name), builder.quantization(node, 3, node.output[0])
    if made.scale < SMALLEST_SOFTMAX_SCALE or made.scale > 1:
        raise RefusalError("its result's scale lies outside 2**-9 to 1", "quantize it with 1/256", f"scale = {made.scale}")
    builder.declare(node.output[0], x.shape)
    builder.add(Softmax, node, x=x.name, table=softmax_table(given.scale, x.shape[2]), factor=softmax_factor(made.scale),
                y_zero=made.zero_point)


def layer_norm(builder: Builder, quantizer: onnx.NodeProto) -> None:
    """The nodes that `arrayloom.compiler.frontend.norms` writes, from the last, which quantizes."""
    model = builder.model
    nodes = _written(model, quantizer)
    scaled, biased, signed = nodes[-2], nodes[-4], nodes[-5]
    source = nodes[0].input[0]
    x = builder.tensor(source)
    axis = 1
    if x.shape[0] != x.onnx_shape[0]:   # pixels may lie in rows or not: each is normalized alone
        raise RefusalError(f"it normalizes {list(x.onnx_shape)}, which lies as {list(x.shape)}", _NORMALIZED, f"'{source}'")
    count = x.shape[0]
    weight, bias, scale = (_constant(model, node).reshape(-1) for node in (signed, biased, scaled))
    epsilon = int(_constant(model, next(node for node in nodes if node.op_type == "Add")).reshape(()))
    reduced = next(node for node in nodes if node.op_type == "ReduceSum")
    if weight.size != count or int(model.constants[reduced.input[1]].ravel()[0]) % (len(x.onnx_shape) + 1) != axis:
        raise RefusalError("it normalizes another dimension than the channels", _NORMALIZED, f"'{source}'")
    builder.claimed.update(name for node in nodes for name in node.output)
    builder.declare(quantizer.output[0], x.shape)
    zero = int(model.constants[quantizer.input[2]].reshape(()))
    builder.add(LayerNorm, quantizer, x=x.name, epsilon=epsilon, weight=weight.astype(np.int8), bias=bias.astype(np.int32),
                scale=scale.astype(np.float32), y_zero=zero)


def _written(model: Model, quantizer: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes of a normalization, in order, from the Cast of its bytes to `quantizer`."""
    found, waiting = {id(quantizer): quantizer}, [quantizer]
    while waiting:
        node = waiting.pop()
        first = node.op_type == "Cast" and model.dtypes[node.input[0]].itemsize == 1
        for name in () if first else node.input:
            producer = model.producers.get(name)
            if producer is not None and not model.is_constant(name) and id(producer) not in found:
                found[id(producer)] = producer
                waiting.append(producer)
    return sorted(found.values(), key=lambda node: model.places[id(node)])


def _constant(model: Model, node: onnx.NodeProto) -> Any:
    """The constant operand of a node of two operands."""
    return next(model.constants[name] for name in node.input if model.is_constant(name))


def _origin(builder: Builder, name: str) -> tuple[Tensor, Indices]:
    """The tensor of tokens or of scores that an operand is moved from, and where its elements lie there."""
    index = in_place(builder.model.shapes[name])
    while name in builder.pending and len(builder.model.shapes[builder.pending[name].parent]) >= RANK:
        moved = builder.pending[name]
        if moved.fill is not None:
            break
        index = moved.own.ravel()[index]
        if name == moved.parent:
            break
        name = moved.parent
        if len(builder.model.shapes[name]) == RANK:
            break
    return builder.tensor(name), index.reshape(index.shape[1:])


def _by_head(x: Tensor, heads: int, turned: bool) -> Indices:
    """Where in tokens [H * D, 1, T] the elements of [H, T, D] lie, or of [H, D, T] where that is `turned`."""
    if x.shape[1] != 1 or x.shape[0] % heads:
        return np.zeros(0, np.int64)
    index = in_place((heads, x.shape[0] // heads, x.shape[2]))
    return index if turned else index.transpose(0, 2, 1)


def _by_query(x: Tensor) -> Indices:
    """Where in scores [Tq, H, Tk] the elements of [H, Tq, Tk] lie."""
    return in_place(x.shape).transpose(1, 0, 2)


def _declare(builder: Builder, name: str, shape: tuple[int, int, int], like: str) -> str:
    """Declare what the accelerator makes of a product, whose elements the model has in another order."""
    builder.model.dtypes[name], builder.model.shapes[name] = builder.model.dtypes[like], (1, *shape)
    builder.declare(name, shape)
    return name


def _constants(builder: Builder, node: onnx.NodeProto) -> dict[str, Any]:
    a, b = builder.quantization(node, 1, node.input[0]), builder.quantization(node, 4, node.input[3])
    y = builder.quantization(node, 6, node.output[0])
    scale_ratio(a, y)
    scale = np.float32(np.float32(a.scale * b.scale) / y.scale)
    if not (np.isfinite(scale) and scale > 0):
        raise RefusalError("x_scale * w_scale / y_scale leaves the range of float32", "calibrate again", f"{scale}")
    return {"a_zero": a.zero_point, "b_zero": b.zero_point, "scale": scale, "y_zero": y.zero_point}
