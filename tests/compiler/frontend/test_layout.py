"""Channels-last networks: the rewritten model gives the same bytes and has no Transpose inside."""

import numpy as np
import onnx
import pytest
from channels_last import FIRST, LAST, ChannelsLast, draw
from exact_graph import equal_values
from interpreter import interpret
from networks import Array, Network
from qdq_network import QdqNetwork

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend import import_model
from arrayloom.compiler.frontend.lost_batch import regain_batch
from arrayloom.compiler.frontend.model import Model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS
from arrayloom.compiler.frontend.report import Report
from arrayloom.compiler.frontend.rewriting.layout import arrange_dimensions
from arrayloom.compiler.frontend.rewriting.layout.order import reshaped
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.compiler.graph import Add, Concat, Conv, Graph, Lookup, View
from arrayloom.isa.host_steps import Quantize, Reshape, Transpose

#: Transposes that the accelerator executes.
EXECUTED = ("conv", "max_pool", "add", "concat", "hard_swish", "pad", "scale", "squeeze_and_excite", "excite",
            "resize", "rows")
ALL = (*EXECUTED, "plane", "split", "softmax")


def _arranged(model: onnx.ModelProto) -> Model:
    return arrange_dimensions(Model(model), Report(), DEFAULT_OPTIONS)


def _assert_same_outputs(given: onnx.ModelProto, made: onnx.ModelProto, inputs: dict[str, Array]) -> None:
    """Asserts equal outputs, byte for byte, of both models as they are."""
    expected = Session(given, optimize=False).run(inputs)
    found = Session(made, optimize=False).run(inputs)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)
    assert any(np.unique(value).size > 1 for value in expected.values()), "the outputs are constant: draw another network"


def _outputs(graph: Graph, inputs: dict[str, Array]) -> dict[str, Array]:
    """The results of the interpreted graph and the host's subsequent steps."""
    values = interpret(graph, inputs)
    results = {}
    for output in graph.outputs:
        value = values[output.tensor].reshape(1, *graph.tensors[output.tensor].onnx_shape)
        for step in output.tail:
            value = step.apply(value)
        results[output.name] = value
    return results


def _assert_exact(model: onnx.ModelProto, seed: int = 0) -> Graph:
    """The model's integer graph, checked at each tensor and, at the outputs, against the original model."""
    graph = import_model(model).graph
    inputs = draw(model, seed)
    equal_values(graph, inputs)
    for name, value in Session(model, optimize=False).run(inputs).items():
        np.testing.assert_array_equal(_outputs(graph, inputs)[name], value)
    return graph


@pytest.mark.parametrize("seed", [seed for seed in range(61) if seed != 35])  # the output of 35 is constant
def test_arranging_changes_no_byte(seed: int) -> None:
    batch = ("N", 1)[seed % 3 == 0]
    model = ChannelsLast(seed, ALL).sketch(batch, integer_input=seed % 4 < 2, count=6)
    arranged = _arranged(model)
    _assert_same_outputs(model, arranged.proto, draw(model, seed, 1 if batch == 1 else 2))
    inner = [node for node in arranged.nodes if node.op_type == "Transpose" and not _at_border(arranged, node)]
    assert inner == []


def _at_border(model: Model, node: onnx.NodeProto) -> bool:
    """Whether a Transpose reads an input of the model or a constant, or only the host's steps follow it."""
    after = [node]
    while after:
        reader = after.pop()
        if reader.op_type not in ("Transpose", "Reshape", "Identity", "DequantizeLinear"):
            return model.is_constant(node.output[0]) or node.input[0] not in model.producers
        after.extend(model.consumers.get(reader.output[0], []))
    return True


@pytest.mark.parametrize("seed", range(100, 140))
def test_random_networks_are_exact(seed: int) -> None:
    batch = ("N", 1)[seed % 3 == 0]
    _assert_exact(ChannelsLast(seed, EXECUTED).sketch(batch, integer_input=seed % 4 < 2, count=6), seed)


class _Net(Network):
    """A network on int8 [N, 6, 5, 4]; all activations have scale 1/16."""

    def real(self, value: str) -> str:
        return self.dequantize(value, 2.0**-4, -8, np.int8)

    def bytes(self, value: str, output: str = "") -> str:
        return self.quantize(value, 2.0**-4, -8, np.int8, output)

    def weight(self, *shape: int) -> str:
        values = np.random.default_rng(3).integers(-16, 17, shape).astype(np.int8)
        return self.dequantize(self.constant(values), 2.0**-7, 0, np.int8)

    def made(self, *outputs: str) -> onnx.ModelProto:
        return self.model({"x": (np.int8, ["N", 6, 5, 4])}, list(outputs))


def test_the_host_transposes_an_input_of_bytes() -> None:
    net = _Net(17)
    first = net.node("Transpose", [net.real("x")], perm=FIRST)
    net.bytes(net.node("Conv", [first, net.weight(3, 4, 1, 1)]), "y")
    graph = _assert_exact(net.made("y"))
    (given,) = graph.inputs
    assert (given.shape, given.moves) == ((6, 5, 4), (Transpose((0, 3, 1, 2)),))
    assert graph.model_inputs[0].encoding == Quantize(2.0**-4, -8, "int8")
    assert [type(op) for op in graph.ops] == [Conv]


def test_the_host_transposes_an_input_of_float_before_it_quantizes() -> None:
    net = _Net(17)
    first = net.node("Transpose", [net.real(net.bytes("x"))], perm=FIRST)
    net.bytes(net.node("Conv", [first, net.weight(3, 4, 1, 1)]), "y")
    graph = _assert_exact(net.model({"x": (np.float32, ["N", 6, 5, 4])}, ["y"]))
    (given,) = graph.inputs
    assert given.moves == (Transpose((0, 3, 1, 2)),)
    assert given.quantize == Quantize(2.0**-4, -8, "int8")
    assert graph.tensors[given.tensor].shape == (4, 6, 5)


def test_two_transposes_of_an_input_are_one_of_the_host() -> None:
    net = _Net(17)
    made = []
    for _ in range(2):
        first = net.real(net.node("Transpose", ["x"], perm=FIRST))
        made.append(net.real(net.bytes(net.node("Conv", [first, net.weight(3, 4, 1, 1)]))))
    net.bytes(net.node("Add", made), "y")
    graph = _assert_exact(net.made("y"))
    assert [type(op) for op in graph.ops] == [Conv, Conv, Add]


def test_channels_last_all_the_way_turn_at_the_border_alone() -> None:
    """Concat along the last axis of a channels-last input, with no channels-first operator before it."""
    net = _Net(17)
    both = net.bytes(net.node("Concat", [net.real("x"), net.node("Relu", [net.real("x")])], axis=-1))
    first = net.node("Transpose", [net.real(both)], perm=FIRST)
    net.node("Transpose", [net.bytes(net.node("Conv", [first, net.weight(3, 8, 3, 3)]))], "y", perm=LAST)
    arranged = _arranged(net.made("y"))
    inner = [node for node in arranged.nodes if node.op_type == "Transpose"]
    assert [(node.input[0], node.output[0]) for node in inner if node.input[0] == "x" or node.output[0] == "y"] != []
    assert len(inner) == 2
    _assert_same_outputs(net.made("y"), arranged.proto, draw(net.made("y"), 1, 2))


@pytest.mark.parametrize("form", ["MatMul", "Gemm", "transB", "Transpose"])
def test_flattened_channels_last_permute_the_weights(form: str) -> None:
    net = _Net(17)
    first = net.node("Transpose", [net.real("x")], perm=FIRST)
    conv = net.real(net.bytes(net.node("Conv", [first, net.weight(3, 4, 1, 1)])))
    flat = net.node("Reshape", [net.node("Transpose", [conv], perm=LAST), net.constant(np.array([-1, 90]))])
    if form == "transB":
        product = net.node("Gemm", [flat, net.weight(7, 90)], transB=1)
    elif form == "Transpose":
        product = net.node("MatMul", [flat, net.node("Transpose", [net.weight(7, 90)], perm=[1, 0])])
    else:
        product = net.node(form, [flat, net.weight(90, 7)])
    net.bytes(product, "y")
    graph = _assert_exact(net.made("y"))
    assert [type(op).__name__ for op in graph.ops if type(op).__name__ != "View"] == ["Conv", "Conv"]


def test_flattened_channels_last_of_integer_operators_permute_the_weights() -> None:
    net = Network(17)
    parameters = [net.constant(np.float32(0.5)), net.constant(np.uint8(3))]
    weights = np.random.default_rng(1).integers(-9, 9, (7, 120)).astype(np.int8)
    scale, zero = net.constant(np.float32(0.1)), net.constant(np.int8(0))
    first = net.node("Transpose", ["x"], perm=FIRST)
    added = net.node("QLinearAdd", [first, *parameters, first, *parameters, *parameters])
    flat = net.node("Flatten", [net.node("Transpose", [added], perm=LAST)])
    net.node("QGemm", [flat, *parameters, net.constant(weights), scale, zero, "", *parameters], "y", transB=1, alpha=1.0)
    net.node("QLinearMatMul", [flat, *parameters, net.constant(weights.T.copy()), scale, zero, *parameters], "z")
    model = net.model({"x": (np.uint8, ["N", 6, 5, 4])}, ["y", "z"])
    arranged = _arranged(model)
    _assert_same_outputs(model, arranged.proto, draw(model, 2, 2))
    assert "Transpose" not in [node.op_type for node in arranged.nodes]
    _assert_exact(model)


def test_a_flattened_value_that_leaves_the_network_is_put_in_order_by_the_host() -> None:
    net = _Net(17)
    first = net.node("Transpose", [net.real("x")], perm=FIRST)
    conv = net.bytes(net.node("Conv", [first, net.weight(3, 4, 1, 1)]))
    net.real(conv)
    net.node("Reshape", [net.node("Transpose", [conv], perm=LAST), net.constant(np.array([-1, 90]))], "y")
    graph = _assert_exact(net.made("y"))
    (output,) = graph.outputs
    assert [type(step) for step in output.tail] == [Transpose, Reshape]


@pytest.mark.parametrize("flattened", [False, True])
def test_a_transpose_before_the_quantizer_of_a_result_moves_after_it(flattened: bool) -> None:
    net = _Net(17)
    last = net.node("Transpose", [net.node("Conv", [net.real("x"), net.weight(3, 6, 1, 1)])], perm=LAST)
    real = net.real(net.bytes(last))
    net.node("Reshape", [real, net.constant(np.array([-1, 60] if flattened else [-1, 20, 3]))], "y")
    graph = _assert_exact(net.made("y"))
    assert [type(op) for op in graph.ops] == [Conv]


def test_a_quantizer_that_a_transpose_kept_from_its_dequantizer_is_taken_out() -> None:
    net = _Net(17)
    conv = net.real(net.bytes(net.node("Conv", [net.real("x"), net.weight(3, 6, 1, 1)])))
    last = net.real(net.bytes(net.node("Transpose", [conv], perm=LAST)))
    back = net.real(net.bytes(net.node("Transpose", [last], perm=FIRST)))
    net.bytes(net.node("Conv", [back, net.weight(2, 3, 1, 1)]), "y")
    assert [type(op) for op in _assert_exact(net.made("y")).ops] == [Conv, Conv]


def test_an_output_keeps_its_shape() -> None:
    net = _Net(17)
    first = net.node("Transpose", [net.real("x")], perm=FIRST)
    conv = net.bytes(net.node("Conv", [first, net.weight(3, 4, 1, 1)]))
    last = net.real(net.node("Transpose", [conv], perm=LAST))
    net.bytes(net.node("HardSwish", [last]), "y")
    graph = _assert_exact(net.made("y"))
    assert graph.outputs[0].tail == (Transpose((0, 2, 3, 1)),)
    assert graph.model_outputs[0].shape == (6, 5, 3)


def test_transposes_that_cannot_be_saved_leave_the_model_as_it_is() -> None:
    """The channel shuffle between Convs stays a single movement on the accelerator."""
    net = _Net(17)
    conv = net.node("Conv", [net.node("MaxPool", [net.real("x")], kernel_shape=[1, 1]), net.weight(8, 6, 1, 1)])
    groups = net.node("Reshape", [net.real(net.bytes(conv)), net.constant(np.array([0, 2, 4, 5, 4]))])
    shuffled = net.node("Transpose", [groups], perm=[0, 2, 1, 3, 4])
    back = net.node("Reshape", [shuffled, net.constant(np.array([0, 8, 5, 4]))])
    net.bytes(net.node("Conv", [net.real(net.bytes(back)), net.weight(3, 8, 1, 1)]), "y")
    model = Model(net.made("y"))
    assert arrange_dimensions(model, Report(), DEFAULT_OPTIONS) is model
    _assert_exact(net.made("y"))


def test_concat_joins_in_the_order_that_most_operands_have() -> None:
    net = _Net(17)
    first = net.node("Transpose", [net.real("x")], perm=FIRST)
    branches = []
    for _ in range(2):
        conv = net.bytes(net.node("Conv", [first, net.weight(3, 4, 1, 1)]))
        branches.append(net.real(net.node("Transpose", [conv], perm=LAST)))
    both = net.real(net.bytes(net.node("Concat", branches, axis=3)))
    last = net.node("Transpose", [both], perm=FIRST)
    net.bytes(net.node("Conv", [last, net.weight(2, 6, 1, 1)]), "y")
    graph = _assert_exact(net.made("y"))
    assert [type(op) for op in graph.ops] == [Conv, Conv, Concat, Conv]


@pytest.mark.parametrize("form", ["Conv1d", "Conv2d"])
def test_sequences_of_channels_last(form: str) -> None:
    """[N, L, C] with a one-dimensional Conv, or with a two-dimensional one on [N, 1, L, C] as in TensorFlow Lite."""
    net, value, channels = _Net(17), "x", 4
    for made in (3, 5):
        if form == "Conv1d":
            first = net.node("Transpose", [net.real(value)], perm=[0, 2, 1])
            conv = net.bytes(net.node("Conv", [first, net.weight(made, channels, 3)], pads=[1, 1]))
            value = net.node("Transpose", [conv], perm=[0, 2, 1])
        else:
            image = net.node("Reshape", [value, net.constant(np.array([-1, 1, 6, channels]))])
            first = net.node("Transpose", [net.real(image)], perm=FIRST)
            conv = net.bytes(net.node("Conv", [first, net.weight(made, channels, 1, 3)], pads=[0, 1, 0, 1]))
            last = net.node("Transpose", [conv], perm=LAST)
            value = net.node("Squeeze", [last, net.constant(np.array([1]))])
        channels = made
    net.bytes(net.node("HardSwish", [net.real(value)]), "y")
    model = net.model({"x": (np.int8, ["N", 6, 4])}, ["y"])
    graph = _assert_exact(model)
    assert [type(op) for op in graph.ops if not isinstance(op, View)] == [Conv, Conv, Lookup]


@pytest.mark.parametrize(("sizes", "axes", "target", "expected"), [
    ((6, 5, 4), (2, 3, 1), (30, 4), ((4, 30), (0, 2, 1))),
    ((6, 5, 4), (2, 3, 1), (6, 5, 2, 2), ((2, 2, 6, 5), (0, 3, 4, 1, 2))),
    ((6, 5, 4), (2, 3, 1), (1, 6, 1, 5, 4), ((4, 1, 6, 1, 5), (0, 2, 3, 4, 5, 1))),
    ((1, 1, 4), (2, 3, 1), (4,), ((4,), (0, 1))),
    ((6, 5, 4), (2, 3, 1), (6, 20), None),
    ((1, 1), (1, 2), (1,), ((1,), (0, 1))),
])
def test_reshapes_of_what_is_stored(sizes: tuple[int, ...], axes: tuple[int, ...], target: tuple[int, ...],
                                    expected: tuple[tuple[int, ...], tuple[int, ...]] | None) -> None:
    assert reshaped(sizes, axes, target) == expected
    if expected is not None:
        stored = np.arange(np.prod(sizes)).reshape([dict(zip(axes, sizes, strict=True))[axis] for axis in sorted(axes)])
        value = stored.transpose([axis - 1 for axis in axes]).reshape(target)
        extents, order = expected
        np.testing.assert_array_equal(value, stored.reshape(extents).transpose([axis - 1 for axis in order[1:]]))


def _pooled(picks: Array, batch: int | str = 1) -> onnx.ModelProto:
    """AdaptiveAvgPool of a channels-last value as PyTorch writes it: Reshape, Gather and Reshape after the mean."""
    net = _Net(17)
    mean = net.real(net.bytes(net.node("GlobalAveragePool", [net.real("x")])))
    flat = net.node("Reshape", [mean, net.constant(np.array([-1]))])
    gathered = net.node("Gather", [flat, net.constant(picks)], axis=0)
    view = net.node("Reshape", [gathered, net.constant(np.array([1, 4]))])
    net.bytes(net.node("Gemm", [net.real(net.bytes(view)), net.weight(4, 3)]), "y")
    return net.model({"x": (np.int8, [batch, 4, 8, 8])}, ["y"])


@pytest.mark.parametrize("picks", [[0, 1, 2, 3], [2, 0, 3, 3]])
def test_a_single_image_may_lose_the_batch_and_regain_it(picks: list[int]) -> None:
    model = _pooled(np.array(picks).reshape(1, 4, 1, 1))
    regained = regain_batch(Model(model))
    _assert_same_outputs(model, regained.proto, draw(model, 4))
    made = [node.output[0] for node in regained.nodes if not regained.is_constant(node.output[0])]
    assert {regained.shapes[name][0] for name in made} == {1}
    _assert_exact(model)


def test_a_batch_that_is_lost_otherwise_is_refused_by_the_node() -> None:
    net = _Net(17)
    flat = net.node("Reshape", [net.real("x"), net.constant(np.array([30, 4]))], "flat")
    net.bytes(net.node("MatMul", [flat, net.weight(4, 3)]), "y")
    model = net.model({"x": (np.int8, [1, 6, 5, 4])}, ["y"])
    with pytest.raises(ModelError, match=r"Reshape 'Reshape_flat' has a result of shape \(30, 4\) at batch 1"):
        import_model(model)


@pytest.mark.data
@pytest.mark.parametrize("name", ["tfl_relu_flat_int8_tf2onnx", "tfl_seg_convt_int8_tf2onnx"])
def test_networks_of_tensorflow_lite(name: str, shared_data) -> None:
    path = shared_data / "exported" / "int8" / f"{name}.onnx"
    graph = import_model(path).graph
    inputs = draw(onnx.load(path), 0)
    equal_values(graph, inputs)
    assert graph.inputs[0].moves == (Transpose((0, 3, 1, 2)),)


def test_a_network_without_transposes_gets_none_for_operators_along_columns() -> None:
    """Treating columns as channels would suit the concatenations, but need a Transpose before the convolution."""
    network = QdqNetwork()
    value = network.real
    for _ in range(3):
        value = network.rounded(network.node("Concat", [value, network.node("Relu", [value])], axis=3))
    given = network.finished(network.node("Conv", [value, network.weight(4, 3, 3, 3)]), 3, 8, 8)
    model = Model(given)
    assert arrange_dimensions(model, Report(), DEFAULT_OPTIONS) is model
    _assert_exact(given)
