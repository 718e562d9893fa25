"""Head and tail: the nodes on the host, and that all parts together give ONNX Runtime's results for the whole model."""

from typing import Any

import numpy as np
import onnx
import pytest
from interpreter import interpret
from networks import Network
from numpy.typing import NDArray

from arrayloom.compiler.errors import UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportedModel, ImportOptions, import_model
from arrayloom.compiler.frontend.options import DEFAULT_OPTIONS
from arrayloom.compiler.frontend.runtime import Session
from arrayloom.isa.host_parts import HostPart

Array = NDArray[Any]
ANY = ImportOptions(HostPolicy.ANY)
NONE = ImportOptions(HostPolicy.NONE)


def _convolution(net: Network, value: str, channels: tuple[int, int] = (3, 8)) -> str:
    """DequantizeLinear, Conv, QuantizeLinear, DequantizeLinear; returns the float value."""
    rng = np.random.default_rng(7)
    weight = net.constant(rng.integers(-60, 60, (channels[1], channels[0], 3, 3)).astype(np.int8))
    weights = net.node("DequantizeLinear", [weight, net.constant(np.float32(0.02))])
    y = net.node("Conv", [net.dequantize(value, 0.02, 128), weights], pads=[1, 1, 1, 1])
    return net.dequantize(net.quantize(y, 0.05, 120), 0.05, 120)


def _head(net: Network) -> str:
    """From a uint8 picture to a quantized tensor: Cast, Transpose, Div, Sub, QuantizeLinear."""
    picture = net.node("Cast", ["picture"], "as_float", to=onnx.TensorProto.FLOAT)
    scaled = net.node("Div", [picture, net.constant(np.float32(255))], "scaled")
    centred = net.node("Sub", [scaled, net.constant(np.float32(0.5))], "centred")
    return net.quantize(centred, 0.02, 128)


def _parts(imported: ImportedModel) -> tuple[list[str], list[str]]:
    host = imported.graph.host.to_json()
    return [node["op"] for node in host["head"]], [node["op"] for node in host["tail"]]


def _run(part: HostPart | None, values: dict[str, Array]) -> dict[str, Array]:
    if part is None:
        return {}
    model = onnx.load_model_from_string(part.model)
    return Session(model).run({value.name: values[value.name] for value in model.graph.input})


def _outputs(imported: ImportedModel, inputs: dict[str, Array]) -> dict[str, Array]:
    """The user's outputs from the head, the interpreted graph with the host's steps, and the tail."""
    graph = imported.graph
    known = inputs | _run(graph.host.head, inputs)
    made = interpret(graph, {given.name: known[given.name] for given in graph.inputs})
    for output in graph.outputs:
        values = made[output.tensor].reshape(1, *graph.tensors[output.tensor].onnx_shape)
        for step in output.tail:
            values = step.apply(values)
        known[output.name] = values
    known |= _run(graph.host.tail, known)
    return {port.name: known[port.name] for port in graph.model_outputs}


PICTURE = {"picture": (np.uint8, ["N", 3, 8, 8])}


def _picture(seed: int = 1) -> dict[str, Array]:
    return {"picture": np.random.default_rng(seed).integers(0, 256, (1, 3, 8, 8)).astype(np.uint8)}


def _check(net: Network, outputs: list[str], options: ImportOptions = DEFAULT_OPTIONS) -> ImportedModel:
    model = net.model(PICTURE, outputs)
    imported = import_model(model, options)
    got, expected = _outputs(imported, _picture()), Session(model).run(_picture())
    assert list(got) == outputs
    for name in outputs:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-6, atol=1e-6, err_msg=name)
        assert got[name].dtype == expected[name].dtype
    return imported


def test_a_head_of_preprocessing_and_a_tail_of_boxes() -> None:
    net = Network(opset=17)
    features = _convolution(net, _head(net))
    boxes = net.node("Reshape", [features, net.constant(np.array([0, 4, 128]))])
    scores = net.node("Sigmoid", [net.node("Slice", [boxes, *(net.constant(np.array([v])) for v in (0, 2, 1))])])
    net.node("Concat", [boxes, scores], "y", axis=1)
    imported = _check(net, ["y"])
    assert _parts(imported) == (["Cast", "Div", "Sub"], ["Slice", "Sigmoid", "Concat"])
    assert imported.graph.host.share == 0
    assert [port.dtype for port in imported.graph.model_inputs] == ["uint8"]


def test_an_integer_layer_after_a_refused_one_joins_the_tail() -> None:
    net = Network(opset=17)
    features = _convolution(net, _head(net))
    order = net.quantize(net.node("CumSum", [features, net.constant(np.array(1))]), 0.3, 120)
    net.node("Relu", [_convolution(net, order, (8, 2))], "y")
    imported = _check(net, ["y"], ANY)
    assert _parts(imported)[1] == ["CumSum", "Conv", "Relu"]
    (note,) = [note for note in imported.graph.notes if note.startswith("the host computes CumSum ")]
    assert note.endswith(" and what follows it: this operator is not supported")
    assert imported.graph.host.macs == 8 * 2 * 9 * 64
    assert imported.graph.host.share == pytest.approx(0.4)


def test_a_large_tail_is_refused_with_its_share() -> None:
    net = Network(opset=17)
    features = _convolution(net, _head(net))
    order = net.quantize(net.node("CumSum", [features, net.constant(np.array(1))], "summed"), 0.3, 120)
    net.node("Relu", [_convolution(net, order, (8, 2))], "y")
    with pytest.raises(UnsupportedError) as caught:
        import_model(net.model(PICTURE, ["y"]))
    (entry,) = caught.value.nodes
    assert (entry.node, entry.operator) == ("CumSum_summed", "CumSum")
    assert "leave it and what follows to the host with --host-tail (40.0 % of the multiply-accumulates)" in entry.remedy


def test_without_a_host_every_one_of_its_nodes_is_refused() -> None:
    net = Network(opset=17)
    features = _convolution(net, _head(net))
    net.node("Sigmoid", [features], "y")
    with pytest.raises(UnsupportedError) as caught:
        import_model(net.model(PICTURE, ["y"]), NONE)
    assert [entry.operator for entry in caught.value.nodes] == ["Cast", "Div", "Sub", "Sigmoid"]
    assert all("--no-host" in entry.remedy for entry in caught.value.nodes)


@pytest.mark.parametrize("quantized", [False, True])
def test_a_softmax_at_the_end_is_no_work_of_the_host(quantized: bool) -> None:
    """Even if a quantizer added QuantizeLinear and DequantizeLinear after it."""
    net = Network(opset=17)
    net.quantize("x", 0.02, 128, output="bytes")
    mean = net.quantize(net.node("GlobalAveragePool", [_convolution(net, "bytes")]), 0.05, 120)
    features = net.node("Flatten", [net.dequantize(mean, 0.05, 120)])
    soft = net.node("Softmax", [features], None if quantized else "y")
    if quantized:
        net.node("DequantizeLinear", [net.quantize(soft, 1 / 256, 0), net.constant(np.float32(1 / 256)),
                                      net.constant(np.uint8(0))], "y")
    imported = import_model(net.model({"x": (np.float32, ["N", 3, 8, 8])}, ["y"]), NONE)
    assert _parts(imported) == ([], [])


def test_a_branch_of_the_tail_reads_the_head_and_the_input() -> None:
    net = Network(opset=17)
    quantized = _head(net)
    features = _convolution(net, quantized)
    mean = net.node("ReduceMean", ["centred"], "mean", axes=[1], keepdims=1)
    raw = net.node("Cast", ["picture"], to=onnx.TensorProto.FLOAT)
    net.node("Concat", [features, mean, raw], "y", axis=1)
    _check(net, ["y"])


def test_nothing_left_to_the_accelerator_is_refused() -> None:
    """Only the input is quantized: even a host share of 100 % does not make the model a network for the accelerator."""
    net = Network(opset=17)
    net.quantize("x", 0.02, 128, output="bytes")
    weights = net.constant(np.ones((8, 3, 3, 3), np.float32))
    net.node("Conv", [net.dequantize("bytes", 0.02, 128), weights], "y")
    with pytest.raises(UnsupportedError) as refused:
        import_model(net.model({"x": (np.float32, ["N", 3, 8, 8])}, ["y"]), ANY)
    (entry,) = refused.value.nodes
    assert (entry.operator, entry.remedy) == ("Conv", "quantize the network: the accelerator would have nothing to compute")


def test_quantized_weights_alone_are_refused_as_such() -> None:
    net = Network(opset=17)
    weights = net.node("DequantizeLinear", [net.constant(np.ones((8, 3, 3, 3), np.int8)), net.constant(np.float32(0.1))])
    net.node("Conv", ["x", weights], "y")
    with pytest.raises(UnsupportedError, match="has quantized weights only"):
        import_model(net.model({"x": (np.float32, ["N", 3, 8, 8])}, ["y"]), ANY)
