"""Models with untidy graphs: order, names, ports and shared parameters."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import Network
from qdq_network import QdqNetwork, check, operators

from arrayloom.compiler.errors import ModelError
from arrayloom.compiler.frontend import ImportedModel, import_model
from arrayloom.compiler.frontend.load import read_model
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.host.runtime.reference import Reference

SHAPE = (4, 6, 6)


def _network() -> QdqNetwork:
    """Two convolutions, a sum, a mean and a classifier with result ``y``."""
    net = QdqNetwork()
    first = net.rounded(net.node("Relu", [net.node("Conv", [net.real, net.weight(4, 4, 3, 3, axis=0)], pads=[1, 1, 1, 1])]))
    second = net.rounded(net.node("Conv", [first, net.weight(4, 4, 1, 1)]))
    total = net.rounded(net.node("Add", [first, second]))
    mean = net.rounded(net.node("GlobalAveragePool", [total]))
    dense = net.node("Gemm", [net.node("Flatten", [mean]), net.weight(5, 4, axis=0)], transB=1)
    net.quantize(dense, 0.25, 7, output="y")
    return net


def _model(net: Network, outputs: list[str] | None = None) -> onnx.ModelProto:
    return net.model({"x": (np.uint8, ["N", *SHAPE])}, outputs or ["y"])


# ---- order


@pytest.mark.parametrize("seed", range(3))
def test_nodes_in_any_order(seed: int) -> None:
    net = _network()
    expected = check(_model(net))
    net.nodes = [net.nodes[place] for place in np.random.default_rng(seed).permutation(len(net.nodes))]
    given = _model(net)
    before = given.SerializeToString()
    imported = check(given)
    assert sorted(operators(imported)) == sorted(operators(expected))
    assert given.SerializeToString() == before


def test_sorted_nodes_keep_their_order() -> None:
    model = _model(_network())
    assert [node.name for node in read_model(model).graph.node] == [node.name for node in model.graph.node]


def test_a_subgraph_reads_from_outside() -> None:
    """The branch of an If reads a value of the outer graph whose node comes after the If."""
    net = Network()
    branches = {}
    for name, operator in (("then_branch", "Abs"), ("else_branch", "Neg")):
        node = onnx.helper.make_node(operator, ["outer"], [f"{name}_y"], name)
        branches[name] = onnx.helper.make_graph([node], name, [], [onnx.ValueInfoProto(name=f"{name}_y")])
    net.node("If", [net.constant(np.array(True))], "y", **branches)
    net.node("Relu", ["same"], "outer")
    net.node("Identity", ["x"], "same")
    model = read_model(net.model({"x": (np.float32, ["N", *SHAPE])}, ["y"]))
    assert [node.op_type for node in model.graph.node] == ["Relu", "If"]
    assert model.graph.node[0].input[0] == "x"


def test_nodes_that_feed_each_other() -> None:
    net = _network()
    net.node("Add", ["b", "y"], "a")
    net.node("Relu", ["a"], "b")
    with pytest.raises(ModelError, match=r"node '(Add_a|Relu_b)' of the model depends on its own result"):
        import_model(_model(net, ["y", "b"]))


def test_a_value_of_two_nodes() -> None:
    net = _network()
    net.node("Relu", ["x"], "y")
    with pytest.raises(ModelError, match=r"nodes 'QuantizeLinear_y' and 'Relu_y' of the model both produce 'y'"):
        import_model(_model(net))


# ---- Identity


def test_inputs_weights_and_results_read_through_identities() -> None:
    net = Network()
    real = net.dequantize(net.quantize(net.node("Identity", [net.node("Identity", ["x"])]), 0.05, 128), 0.05, 128)
    weight = net.node("Identity", [net.constant(np.random.default_rng(0).integers(-99, 99, (3, 4, 3, 3)).astype(np.int8))])
    kernel = net.dequantize(net.node("Identity", [weight]), 0.01, 0, np.int8)
    result = net.node("Identity", [net.node("Conv", [net.node("Identity", [real]), kernel])])
    net.quantize(result, 0.1, 128, output="inner")
    net.node("Identity", ["inner"], "y")
    net.node("Identity", ["y"], "again")
    imported = check(net.model({"x": (np.float32, ["N", *SHAPE])}, ["y", "again", "inner"]))
    assert operators(imported) == ["QuantizeLinear", "QLinearConv", "Identity", "Identity"]


# ---- inputs


@pytest.mark.parametrize("shape", [[], ["height", "width"], [16, 1, 1, 1], [2, 3, 4, 5, 6], None])
def test_unused_inputs_are_left_out(shape: list[Any] | None) -> None:
    net = _network()
    net.node("Relu", ["unused"], "nowhere")
    model = net.model({"unused": (np.float32, shape or []), "x": (np.uint8, ["N", *SHAPE])}, ["y"])
    if shape is None:
        model.graph.input[0].type.tensor_type.ClearField("shape")
    imported = check(model)
    assert [port.name for port in imported.graph.model_inputs] == ["x"]
    assert imported.graph.notes == ["no output depends on the input 'unused': left out"]


def test_initializers_among_the_inputs_are_no_ports() -> None:
    net = _network()
    inputs = {name: (value.dtype, list(value.shape)) for name, value in net.initializers.items()}
    imported = check(net.model({**inputs, "x": (np.uint8, ["N", *SHAPE])}, ["y"]))
    assert [port.name for port in imported.graph.inputs] == ["x"]
    assert imported.graph.notes == []


# ---- outputs


def _outputs(imported: ImportedModel) -> dict[str, np.ndarray]:
    """The outputs of the host's tail without inputs."""
    tail = imported.graph.host.tail
    assert tail is not None
    session = onnxruntime.InferenceSession(tail.model, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, {}), strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64])
@pytest.mark.parametrize("form", ["initializer", "node", "identity", "dequantized"])
def test_constant_outputs_are_the_hosts(form: str, dtype: Any) -> None:
    net = _network()
    value = np.arange(6).reshape(1, 6).astype(np.uint8 if form == "dequantized" else dtype)
    name, wanted = "anchors", value
    if form == "initializer":
        net.constant(value, name)
    elif form == "node":
        net.nodes.append(onnx.helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value)))
    elif form == "identity":
        net.node("Identity", [net.constant(value)], name)
    else:
        net.dequantize(net.constant(value), 0.5, 2, output=name)
        wanted = (value.astype(np.float32) - 2) * np.float32(0.5)
    imported = import_model(_model(net, [name, "y"]))
    assert [port.name for port in imported.graph.model_outputs] == [name, "y"]
    (found,) = _outputs(imported).values()
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype
    assert [port.name for port in imported.graph.outputs] == ["y"]


def test_a_constant_output_that_a_node_reads_too() -> None:
    net = QdqNetwork()
    weight = np.random.default_rng(0).integers(-99, 99, (1, 4, 3, 3)).astype(np.int8)
    kernel = net.dequantize(net.constant(weight, "kernel"), 0.01, 0, np.int8)
    net.quantize(net.node("Conv", [net.real, kernel]), 0.25, 7, output="y")
    imported = import_model(_model(net, ["y", "kernel"]))
    np.testing.assert_array_equal(_outputs(imported)["kernel"], weight)
    assert imported.graph.ops[0].weight.tobytes() == weight.astype(np.int16).tobytes()  # type: ignore[attr-defined]


def test_a_constant_output_without_a_batch_is_refused() -> None:
    net = _network()
    net.constant(np.zeros((5, 4), np.float32), "anchors")
    with pytest.raises(ModelError, match=r"output 'anchors' is a constant of shape \[5, 4\], without a batch"):
        import_model(_model(net, ["y", "anchors"]))


def test_an_output_that_is_a_float_input_is_refused() -> None:
    net = Network()
    net.quantize("x", 0.5, 3, output="y")
    with pytest.raises(ModelError, match="output 'x' of the model is its input itself, which the caller has"):
        import_model(net.model({"x": (np.float32, ["N", *SHAPE])}, ["y", "x"]))


def test_a_copy_of_a_float_input_is_the_hosts() -> None:
    net = Network()
    net.quantize("x", 0.5, 3, output="y")
    net.node("Identity", ["x"], "copy")
    graph = import_model(net.model({"x": (np.float32, ["N", *SHAPE])}, ["y", "copy"])).graph
    assert [port.name for port in graph.outputs] == ["y"]
    assert graph.host.tail is not None
    assert graph.host.tail.nodes == ()


@pytest.mark.parametrize("form", ["itself", "identity", "dequantized"])
def test_bytes_that_are_input_and_output(form: str) -> None:
    net = _network()
    name = "x" if form == "itself" else "out"
    if form == "identity":
        net.node("Identity", ["x"], name)
    elif form == "dequantized":
        net.dequantize("x", 0.5, 3, output=name)
    imported = check(_model(net, ["y", name]))
    assert [port.name for port in imported.graph.outputs] == ["y", name]


def test_outputs_that_other_nodes_read_and_one_value_twice() -> None:
    net = QdqNetwork()
    conv = net.node("Conv", [net.real, net.weight(4, 4, 3, 3)])
    net.quantize(conv, 0.25, 7, output="inner")
    net.node("Identity", ["inner"], "twice")
    real = net.dequantize("inner", 0.25, 7, output="real")
    net.quantize(net.node("Relu", [real]), 0.25, 7, output="y")
    imported = check(_model(net, ["inner", "y", "twice", "real"]))
    assert [port.name for port in imported.graph.outputs] == ["inner", "y", "twice", "real"]


# ---- parameters


def _shared(form: str) -> onnx.ModelProto:
    """Two convolutions that share parameters as in ``form``; weights exceed -64..63, which ONNX Runtime changes."""
    net = QdqNetwork()
    random = np.random.default_rng(3)
    zeros, scale = net.constant(np.zeros(4, np.int8)), net.constant(random.uniform(0.005, 0.01, 4).astype(np.float32))
    kernels = [net.constant(random.integers(-128, 128, (4, 4, 3, 3)).astype(np.int8)) for _ in range(2)]
    if form != "zero points":
        kernels[1] = kernels[0]
    value, real = net.real, ""
    for place, kernel in enumerate(kernels):
        if form != "dequantized weights" or place == 0:
            real = net.node("DequantizeLinear", [kernel, scale, zeros], axis=0)
        value = net.rounded(net.node("Conv", [value, real], pads=[1, 1, 1, 1]))
    return net.finished(net.node("MaxPool", [value], kernel_shape=[2, 2]), *SHAPE)


@pytest.mark.parametrize("form", ["zero points", "weights", "dequantized weights"])
def test_shared_parameters(form: str) -> None:
    model = _shared(form)
    assert not Session(model).exact_kernels
    assert operators(check(model))[:3] == ["QLinearConv", "QLinearConv", "MaxPool"]


def test_shared_parameters_of_integer_operators() -> None:
    net = Network()
    random = np.random.default_rng(3)
    zeros, scale = net.constant(np.zeros(4, np.int8)), net.constant(random.uniform(0.005, 0.01, 4).astype(np.float32))
    one, zero = net.constant(np.float32(0.5)), net.constant(np.array(3, np.uint8))
    kernel = net.constant(random.integers(-128, 128, (4, 4, 3, 3)).astype(np.int8))
    value = "x"
    for output in ("inner", "y"):
        value = net.node("QLinearConv", [value, one, zero, kernel, scale, zeros, one, zero], output)
    model = _model(net)
    assert Session(model).exact_kernels
    check(model, step=0)


def test_nothing_to_do_leaves_a_model_as_it_is() -> None:
    model = _model(_network())
    assert read_model(model) is model


def test_the_model_with_exact_kernels_equals_the_one_given() -> None:
    """Separate parameters change no value: ONNX Runtime without exact kernels accepts the shared ones too."""
    model = _shared("zero points")
    image = {"x": np.random.default_rng(0).integers(0, 256, (1, *SHAPE)).astype(np.uint8)}
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    expected = session.run(["y"], image)[0]
    got = Reference(read_model(model)).run(image)["y"]
    assert np.abs(expected.astype(int) - got.astype(int)).max() <= 1
