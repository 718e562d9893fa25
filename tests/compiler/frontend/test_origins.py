"""Refusals name the nodes of the user's own model, whatever the passes changed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from float_networks import FloatNetwork, images
from networks import Network
from onnx import helper

from arrayloom.compiler import compile_model
from arrayloom.compiler.errors import Unsupported, UnsupportedError
from arrayloom.compiler.frontend import HostPolicy, ImportOptions, import_model
from arrayloom.host.models.quantize import Calibration, quantize

BYTES = (np.uint8, ["N", 4, 6, 6])


def _entries(act: Callable[[onnx.ModelProto], Any], model: onnx.ModelProto) -> list[Unsupported]:
    given = {(node.name or node.output[0], node.op_type) for node in model.graph.node}
    with pytest.raises(UnsupportedError) as caught:
        act(model)
    found = [(entry.node, entry.operator.rpartition(".")[2]) for entry in caught.value.nodes]
    assert given.issuperset(found), found
    return list(caught.value.nodes)


def _quantize(model: onnx.ModelProto) -> None:
    quantize(model, Calibration.from_arrays({"data": images(2)}))


def test_a_cubic_resize_is_refused_under_its_own_name() -> None:
    """Not as a Resize between quantizers that the user's model does not have."""
    n = FloatNetwork()
    x = n.node("Resize", [n.conv("data"), "", n.constant(np.array([1, 1, 2, 2], np.float32))], "larger", mode="cubic")
    model = n.classify(n.node("Relu", [n.conv(x)]))
    entries = _entries(_quantize, model)
    assert [entry.node for entry in entries] == ["Resize_larger"]
    assert "_quant" not in str(entries[0])


@pytest.mark.parametrize("named", [True, False])
def test_every_node_of_a_float_network_that_has_no_integer_form(named: bool) -> None:
    """The network's nodes may be unnamed; fused or split nodes do not hide them."""
    n = FloatNetwork()
    total = n.node("Sum", [n.conv("data"), n.conv("data"), n.conv("data")])
    wider = n.node("Resize", [total, "", n.constant(np.array([1, 1, 1, 2], np.float32))], "wider", mode="cubic")
    larger = n.node("Resize", [wider, "", n.constant(np.array([1, 1, 2, 2], np.float32))], "larger", mode="cubic")
    model = n.classify(n.conv(larger))
    model.opset_import[0].version = 19
    if not named:
        for node in model.graph.node:
            node.name = ""
    names = [entry.node for entry in _entries(_quantize, model)]
    assert names == (["Resize_wider", "Resize_larger"] if named else ["wider", "larger"])


def test_a_local_function_is_named_by_its_call() -> None:
    x, y = ["x"], ["y"]
    inner = [helper.make_node("Identity", x, ["a"], name="first"),
             helper.make_node("CumSum", ["a", "axis"], ["b"], name="second"), helper.make_node("Identity", ["b"], y)]
    opsets = [helper.make_opsetid("", 17)]
    net = Network(opset=17)
    made = net.node("Running", [net.dequantize("x", 0.5, 3), net.constant(np.array(2))], "sums", domain="own")
    net.quantize(made, 0.5, 3, output="y")
    model = net.model({"x": BYTES}, ["y"])
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.append(helper.make_function("own", "Running", ["x", "axis"], y, inner, opsets))
    model.ir_version = 8
    entries = _entries(lambda given: import_model(given, ImportOptions(HostPolicy.NONE)), model)
    assert [(entry.node, entry.operator) for entry in entries] == [("Running_sums", "own.Running")]
    assert entries[0].reason == "CumSum, which it is made of, is not supported"


def test_the_device_refuses_nodes_under_the_users_names() -> None:
    """An integer operator that replaced a Conv is reported as that Conv."""
    net = Network()
    weight = net.dequantize(net.constant(np.ones((2, 4, 1, 1), np.int8)), 0.25, 0, np.int8)
    conv = net.node("Conv", [net.dequantize("x", 0.5, 3), weight], "conv", strides=[1, 300])
    net.quantize(conv, 0.5, 3, output="y")
    model = net.model({"x": (np.uint8, ["N", 4, 1, 601])}, ["y"])
    entries = _entries(compile_model, model)
    assert [(entry.node, entry.operator, entry.what) for entry in entries] == [("Conv_conv", "Conv", "strides = 300")]


def test_an_extent_that_the_device_cannot_take_is_named() -> None:
    net = Network()
    net.quantize(net.node("Relu", [net.dequantize("x", 0.5, 3)], "active"), 0.25, 3, output="y")
    model = net.model({"x": (np.uint8, ["N", 1, 2, 1 << 17])}, ["y"])
    assert "width" in str(_entries(compile_model, model)[0])


def test_what_quantize_writes_is_a_model_of_its_own() -> None:
    """Refusals of the quantized model name its own nodes, so no origin may remain in it."""
    n = FloatNetwork()
    model = quantize(n.classify(n.node("Relu", [n.conv("data")])), Calibration.from_arrays({"data": images(2)})).model
    assert not any(entry.key.startswith("arrayloom.origin") for node in model.graph.node for entry in node.metadata_props)
