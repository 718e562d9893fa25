"""Random quantized networks in the styles of several producers; a seed gives the same network in every process."""

from dataclasses import dataclass

import numpy as np
import onnx
from networks import Array
from untidy import untidied

from arrayloom.compiler.frontend import HostPolicy, ImportOptions

from . import ends, functions, moves, pools, products, style
from .float_network import FloatNetwork
from .quantizer import Quantizer
from .style import Parameters

OPSETS = (13, 14, 17, 18, 20, 21)
MOST_ELEMENTS = 1500    # size limit of a value that a block is applied to


@dataclass(frozen=True)
class Case:
    """A network to import.

    Attributes
    ----------
    model
        The network.
    inputs
        Values of its inputs by name, [1, ...].
    options
        The options of the import.
    style
        The style of its quantization.
    """

    model: onnx.ModelProto
    inputs: dict[str, Array]
    options: ImportOptions
    style: style.Style


def generate(seed: int) -> Case:
    """The network for a seed."""
    rng = np.random.default_rng(seed)
    net = FloatNetwork(rng, int(rng.choice(OPSETS)))
    integer_inputs: dict[str, Parameters] = {}
    x = _begin(net, integer_inputs)
    for _ in range(net.count(1, 5)):
        x = _block(net, x)
    image = len(net.shape(x)) == 4
    net.outputs = net.pick([*ends.ENDINGS, *(ends.IMAGE_ENDINGS if image else ())])(net, x)
    chosen = style.draw(net)
    quantizer = Quantizer(net, chosen, integer_inputs)
    outputs = list(quantizer.run().values())
    model = _model(net, quantizer, [*outputs, *_odd_outputs(net, quantizer)])
    inputs = {name: integer_inputs[name].bytes_of(net.values[name]) if name in integer_inputs else net.values[name]
              for name in net.inputs}
    if net.chance(0.3):
        model = untidied(model, seed)
    inputs |= {value.name: np.zeros([dim.dim_value for dim in value.type.tensor_type.shape.dim], np.float32)
               for value in model.graph.input if value.name not in inputs}
    policy = HostPolicy.ANY if _has_host_part(net) or not quantizer.plan.keys() >= set(net.outputs) else HostPolicy.NONE
    return Case(model, inputs, ImportOptions(policy, insert_rounding=chosen.insert_roundings), chosen)


def _begin(net: FloatNetwork, integer_inputs: dict[str, Parameters]) -> str:
    """One or two inputs, joined by a layer or two."""
    extents = [net.count(4, 9) for _ in range(net.pick([1, 2, 2, 2, 2]))]
    shape = (net.count(1, 4), *extents)
    kind = net.pick(["image", "image", "image", "picture", "integer"])
    if kind == "picture" and len(shape) == 3:
        x = ends.picture(net, "picture", shape)
    else:
        x = ends.image(net, "image", shape)
        if kind == "integer":
            _make_integer(net, integer_inputs)
    if len(shape) == 3 and net.chance(0.1):
        x = moves.space_to_depth(net, x)
    x = functions.layer(net, x)
    if net.chance(0.1):
        other = ends.image(net, "other", net.shape(x)[1:])
        x = functions.two(net, x, other) if net.chance(0.5) else net.node("Concat", [x, other], axis=1)
    return x


def _make_integer(net: FloatNetwork, integer_inputs: dict[str, Parameters]) -> None:
    """Makes the first input bytes: the network reads the result of their DequantizeLinear."""
    name, dtype = net.inputs[0], net.pick(["uint8", "int8"])
    value = net.values[name]
    integer_inputs[name] = style.fitted(value.min(), value.max(), dtype, False, False)


def _block(net: FloatNetwork, x: str) -> str:
    if np.prod(net.shape(x)) > MOST_ELEMENTS:
        return functions.layer(net, x, stride=2)
    blocks = [functions.layer, functions.layer, *functions.BLOCKS, *moves.BLOCKS, *pools.BLOCKS]
    if len(net.shape(x)) == 4:
        blocks += [*moves.IMAGE_BLOCKS, *pools.IMAGE_BLOCKS, _conv_transpose]
    return net.pick(blocks)(net, x)


def _conv_transpose(net: FloatNetwork, x: str) -> str:
    if max(net.shape(x)[2:]) * 2 > moves.LARGEST:
        return functions.layer(net, x)
    return products.conv_transpose(net, x)


def _odd_outputs(net: FloatNetwork, quantizer: Quantizer) -> list[str]:
    """Occasionally makes a constant or an input an output."""
    odd = []
    if net.chance(0.03):
        odd.append(quantizer.store("constant_output", net.rng.normal(0, 1, (1, 3)).astype(np.float32)))
    if net.chance(0.03):
        quantizer.nodes.append(onnx.helper.make_node("Identity", [net.inputs[0]], ["input_again"], name="again_node"))
        odd.append("input_again")
    return odd


def _has_host_part(net: FloatNetwork) -> bool:
    return any(node.name.startswith(("head_", "tail_")) for node in net.nodes)


def _model(net: FloatNetwork, quantizer: Quantizer, outputs: list[str]) -> onnx.ModelProto:
    kinds = [_declared(name, net.values[name], quantizer) for name in net.inputs]
    graph = onnx.helper.make_graph(
        _needed(quantizer.nodes, outputs), "random", kinds,
        [onnx.ValueInfoProto(name=name) for name in dict.fromkeys(outputs)],
        [onnx.numpy_helper.from_array(value, name) for name, value in quantizer.constants.items()])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", net.opset)], ir_version=8)


def _declared(name: str, value: Array, quantizer: Quantizer) -> onnx.ValueInfoProto:
    dtype = quantizer.integer_inputs[name].dtype if name in quantizer.integer_inputs else value.dtype
    shape = ["N" if quantizer.net.open_batch else 1, *value.shape[1:]]
    return onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(dtype), shape)


def _needed(nodes: list[onnx.NodeProto], outputs: list[str]) -> list[onnx.NodeProto]:
    """The nodes that an output depends on."""
    wanted, needed = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            needed.append(node)
            wanted.update(node.input)
    return needed[::-1]
